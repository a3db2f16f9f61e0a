import type { Tracing, TracingOptions } from "./tracing.ts";

/**
 * Loads OpenTelemetry and starts tracing. Call it only where an endpoint is configured: the SDK is
 * loaded here and nowhere else, so a gateway that does not trace neither loads nor runs any of it.
 */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { createOtlpTracing } = await import("./otlp-tracing.ts");
  return createOtlpTracing(options);
}
