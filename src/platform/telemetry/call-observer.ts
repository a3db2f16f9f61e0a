import type { Clock } from "../../core/clock.ts";
import type { AppError } from "../../core/errors.ts";
import type { Exchange } from "../../core/exchange.ts";
import type { Logger } from "../../core/logger.ts";
import type { RequestMetrics } from "./request-metrics.ts";
import type { Tracing } from "./tracing.ts";

export interface ObserverOptions {
  readonly requests: RequestMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Left out while tracing is off. */
  readonly tracing?: Tracing | undefined;
  /** Write a line for each call at debug level. */
  readonly accessLog: boolean;
}

/** What the trace interceptor takes: it sees every call begin and end. */
export interface TelemetryObserver {
  begin(exchange: Exchange): { run<R>(work: () => R): R; end(error?: AppError): void };
}

/** Counts and times every call, traces it while tracing is on, and writes the access log. */
export function createCallObserver(options: ObserverOptions): TelemetryObserver {
  const { requests, logger, clock, tracing, accessLog } = options;
  return {
    begin(exchange) {
      const { operation, call } = exchange;
      const series = requests.seriesOf(operation, call.protocol);
      const span = tracing?.begin(exchange);
      if (span) call.traceId = span.traceId;
      const startedMs = clock.monotonic();
      series.begin();
      return {
        run: (work) => (span ? span.run(work) : work()),
        end(error) {
          const durationMs = clock.monotonic() - startedMs;
          series.end(error?.code ?? "OK", durationMs);
          span?.end(error);
          if (accessLog) logger.debug({ ...describe(exchange), ...outcome(error), durationMs }, "call");
        },
      };
    },
  };
}

function describe({ operation, call }: Exchange): object {
  return {
    operation: operation.name,
    protocol: call.protocol,
    requestId: call.requestId,
    ...(call.traceId && { traceId: call.traceId }),
    ...(call.namespace && { namespace: call.namespace.name }),
    principal: call.principal.id,
    peer: call.incoming.peer,
  };
}

function outcome(error: AppError | undefined): object {
  return error === undefined ? { code: "OK" } : { code: error.code, reason: error.reason };
}
