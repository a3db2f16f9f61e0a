import type { SpanExporter } from "@opentelemetry/sdk-trace-base";
import type { Logger } from "../../core/logger.ts";

const QUIET_MS = 60_000;

/** `exporter`, saying in the log when spans could not be sent, at most once a minute. */
export function reportExportFailures(exporter: SpanExporter, logger: Logger): SpanExporter {
  let quietUntilMs = 0;
  return {
    export(spans, resultCallback) {
      exporter.export(spans, (result) => {
        // 0 is success (ExportResultCode.SUCCESS).
        if (result.code !== 0 && performance.now() >= quietUntilMs) {
          quietUntilMs = performance.now() + QUIET_MS;
          logger.warn(
            { err: result.error, spans: spans.length },
            "Spans could not be sent to the collector and are lost.",
          );
        }
        resultCallback(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}
