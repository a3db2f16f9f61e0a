import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Attributes,
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace-base";
import type { Call, IncomingCall } from "../../core/call.ts";
import type { AppError, ErrorCode } from "../../core/errors.ts";
import type { Exchange } from "../../core/exchange.ts";
import { reportExportFailures } from "./report-export-failures.ts";
import type { Tracing, TracingOptions } from "./tracing.ts";

// version-traceid-parentid-flags; all zeros are invalid (W3C Trace Context section 3.2.2).
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/;
const MAX_TRACESTATE_CHARACTERS = 512;
const MAX_STATEMENT_CHARACTERS = 2_000;
const EXPORT_TIMEOUT_MS = 5_000;

/** What the gateway answers for; the rest is the caller's doing and no failure of the span. */
const SERVER_FAULTS = new Set<ErrorCode>(["INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNIMPLEMENTED"]);

/**
 * Tracing through OpenTelemetry. It registers nothing globally: the span of the running call is in
 * a storage of our own, which exists only while tracing is on.
 */
export function createOtlpTracing(options: TracingOptions, exporter = createExporter(options)): Tracing {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      "service.name": "tarl-gateway",
      "service.version": options.version,
      "service.instance.id": options.instanceId,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
    spanProcessors: [new BatchSpanProcessor(exporter)],
  });
  const tracer = provider.getTracer("tarl-gateway", options.version);
  const running = new AsyncLocalStorage<Span>();

  return {
    begin(exchange) {
      const span = startCallSpan(tracer, exchange);
      return {
        traceId: span.spanContext().traceId,
        run: (work) => running.run(span, work),
        end: (error) => endCallSpan(span, exchange.call, error),
      };
    },
    onQuery(text, durationMs, error) {
      const parent = running.getStore();
      if (parent?.isRecording()) recordQuery(tracer, parent, text, durationMs, error);
    },
    currentTraceId: () => running.getStore()?.spanContext().traceId,
    async stop(deadlineMs) {
      const deadline = new Promise<void>((resolve) => setTimeout(resolve, deadlineMs).unref());
      await Promise.race([provider.shutdown().catch(() => {}), deadline]);
    },
  };
}

function createExporter({ endpoint, logger }: TracingOptions): SpanExporter {
  const url = new URL(endpoint);
  if (url.pathname === "/") url.pathname = "/v1/traces";
  const exporter = new OTLPTraceExporter({ url: url.href, timeoutMillis: EXPORT_TIMEOUT_MS });
  return reportExportFailures(exporter, logger);
}

function startCallSpan(tracer: Tracer, { operation, call }: Exchange): Span {
  const [service = "", method = ""] = operation.grpc.split("/");
  const attributes: Attributes = {
    "rpc.system.name": call.protocol,
    "rpc.service": `tarl.v1.${service}`,
    "rpc.method": method,
    "tarl.operation": operation.name,
    "tarl.protocol": call.protocol,
    "tarl.request_id": call.requestId,
  };
  if (call.incoming.peer !== undefined) attributes["client.address"] = call.incoming.peer;
  return tracer.startSpan(operation.name, { kind: SpanKind.SERVER, attributes }, callerContext(call.incoming));
}

/** The caller's span as the context to begin in, where `traceparent` names one. */
function callerContext({ traceparent = "", tracestate }: IncomingCall): Context {
  const parts = TRACEPARENT.exec(traceparent);
  if (parts === null) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: parts[1]!,
    spanId: parts[2]!,
    traceFlags: Number.parseInt(parts[3]!, 16) & 1,
    isRemote: true,
    ...(tracestate && tracestate.length <= MAX_TRACESTATE_CHARACTERS && { traceState: createTraceState(tracestate) }),
  });
}

function endCallSpan(span: Span, call: Call, error: AppError | undefined): void {
  // Interceptors learn these on the way down.
  if (call.namespace) span.setAttribute("tarl.namespace", call.namespace.name);
  span.setAttribute("tarl.principal", call.principal.id);
  span.setAttribute("tarl.code", error?.code ?? "OK");
  if (error) {
    span.setAttribute("error.type", error.reason);
    if (SERVER_FAULTS.has(error.code)) span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  }
  span.end();
}

function recordQuery(tracer: Tracer, parent: Span, text: string, durationMs: number, error: unknown): void {
  const endedAtMs = Date.now();
  const statement = text.trim().replaceAll(/\s+/g, " ").slice(0, MAX_STATEMENT_CHARACTERS);
  const attributes: Attributes = { "db.system.name": "postgresql", "db.query.text": statement };
  const context = trace.setSpan(ROOT_CONTEXT, parent);
  const startTime = endedAtMs - durationMs;
  const name = statement.split(" ", 1)[0] || "SQL";
  const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes, startTime }, context);
  // The text of a database error can hold values, so only the fact is told.
  if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(endedAtMs);
}
