import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace-base";
import { expect, test } from "vitest";
import { z } from "zod";
import { Call, type IncomingCall } from "../../core/call.ts";
import { systemClock } from "../../core/clock.ts";
import { AppError, toAppError } from "../../core/errors.ts";
import { type Logger, silentLogger } from "../../core/logger.ts";
import { operation, serverStream } from "../../core/operation.ts";
import { createCallObserver } from "./call-observer.ts";
import { createLogger } from "./logger.ts";
import { createMetrics } from "./metrics.ts";
import { createOtlpTracing } from "./otlp-tracing.ts";
import { startTracing } from "./start-tracing.ts";

const contract = { permission: "x", input: z.object({}), output: z.object({}), summary: "" };
const getTask = operation({
  ...contract,
  name: "tasks.get",
  rest: "GET /tasks",
  grpc: "TaskService/GetTask",
  graphql: "query task",
  handle: () => ({}),
});
const watchTasks = serverStream({
  ...contract,
  name: "tasks.watch",
  rest: "GET /tasks:watch",
  grpc: "TaskService/WatchTasks",
  graphql: "subscription tasks",
  async *handle() {},
});

function exchangeOf(operation: typeof getTask | typeof watchTasks, incoming: Partial<IncomingCall> = {}) {
  return { operation, call: new Call({ protocol: "rest", ...incoming }), input: {} };
}

const tracingOptions = {
  endpoint: "http://127.0.0.1:1",
  sampleRatio: 1,
  version: "1",
  instanceId: "a",
  logger: silentLogger,
};
const TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`;

/** A logger that remembers what it was given. */
function recordingLogger() {
  const lines: { level: string; fields: Record<string, unknown>; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: fields as Record<string, unknown>, message });
  const logger: Logger = { error: at("error"), warn: at("warn"), info: at("info"), debug: at("debug") };
  return { logger, lines };
}

test("the log is one JSON object a line, without secrets, with the running trace", () => {
  const lines: string[] = [];
  const logger = createLogger({
    level: "info",
    fields: { instance: "a" },
    traceId: () => TRACE_ID,
    destination: { write: (line) => void lines.push(line) },
  });
  logger.info({ authorization: "Bearer tarl_1", request: { password: "hunter2", path: "/v1" } }, "hello");
  logger.debug({}, "not shown");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: "info",
    instance: "a",
    traceId: TRACE_ID,
    msg: "hello",
    authorization: "[redacted]",
    request: { password: "[redacted]", path: "/v1" },
  });
});

test("requests are counted by code, timed unless they stream, and known while they run", async () => {
  const metrics = createMetrics({ logger: silentLogger });
  let nowMs = 0;
  const observer = createCallObserver({
    requests: metrics.requests,
    logger: silentLogger,
    clock: { now: () => 0, monotonic: () => nowMs },
    accessLog: false,
  });
  for (const [durationMs, error] of [
    [3, undefined],
    [40_000, new AppError("NOT_FOUND", "TASK_NOT_FOUND", "")],
  ] as const) {
    const observed = observer.begin(exchangeOf(getTask));
    nowMs += durationMs;
    observed.end(error);
  }
  observer.begin(exchangeOf(watchTasks));

  const { text, contentType } = await metrics.render();
  expect(contentType).toContain("text/plain");
  const lines = text.split("\n");
  const labels = 'operation="tasks.get",protocol="rest"';
  expect(lines).toEqual(
    expect.arrayContaining([
      "# TYPE tarl_requests_total counter",
      `tarl_requests_total{${labels},code="OK"} 1`,
      `tarl_requests_total{${labels},code="NOT_FOUND"} 1`,
      `tarl_requests_active{${labels}} 0`,
      'tarl_requests_active{operation="tasks.watch",protocol="rest"} 1',
      `tarl_request_duration_seconds_bucket{${labels},le="0.0025"} 0`,
      `tarl_request_duration_seconds_bucket{${labels},le="0.005"} 1`,
      `tarl_request_duration_seconds_bucket{${labels},le="35"} 1`,
      `tarl_request_duration_seconds_bucket{${labels},le="+Inf"} 2`,
      `tarl_request_duration_seconds_sum{${labels}} 40.003`,
      `tarl_request_duration_seconds_count{${labels}} 2`,
    ]),
  );
  expect(text).not.toMatch(/duration_seconds.*tasks\.watch/);
});

test("gauges are collected at each scrape; one that fails or hangs does not take the others with it", async () => {
  const { logger, lines } = recordingLogger();
  const metrics = createMetrics({ logger, collectTimeoutMs: 20, processMetrics: true });
  let depth = 1;
  const gauge = (name: string, collect: () => Promise<{ labels: Record<string, string>; value: number }[]>) =>
    metrics.gauge({ name, help: "x", labels: ["queue"], collect });
  gauge("tarl_queue_depth", async () => [{ labels: { queue: 'a"b' }, value: depth++ }]);
  gauge("tarl_broken", async () => Promise.reject(new Error("no database")));
  gauge("tarl_slow", () => new Promise(() => {}));
  const count = metrics.counter({ name: "tarl_lease_expiries_total", help: "x", labels: ["queue"] });
  count({ queue: "a" });
  count({ queue: "a" }, 2);

  await metrics.render();
  const { text } = await metrics.render();
  expect(text).toContain('tarl_queue_depth{queue="a\\"b"} 2');
  expect(text).toContain('tarl_lease_expiries_total{queue="a"} 3');
  expect(text).toContain("process_resident_memory_bytes");
  expect(lines.map(({ fields }) => fields.metric)).toEqual(["tarl_broken", "tarl_slow", "tarl_broken", "tarl_slow"]);
});

test("a metric with too many series is cut", async () => {
  const { logger, lines } = recordingLogger();
  const metrics = createMetrics({ logger });
  const samples = Array.from({ length: 2_001 }, (_, index) => ({ labels: { queue: `q${index}` }, value: index }));
  metrics.gauge({ name: "tarl_many", help: "x", labels: ["queue"], collect: async () => samples });
  const { text } = await metrics.render();
  expect(text).toContain("q1999");
  expect(text).not.toContain("q2000");
  expect(lines).toHaveLength(1);
});

test("the access log tells how each call ended", () => {
  const { logger, lines } = recordingLogger();
  const { requests } = createMetrics({ logger });
  const observer = createCallObserver({ requests, logger, clock: systemClock, accessLog: true });
  observer.begin(exchangeOf(getTask)).end(toAppError(new Error("bug")));
  observer.begin(exchangeOf(getTask)).end(new AppError("NOT_FOUND", "TASK_NOT_FOUND", ""));
  expect(lines.filter(({ level }) => level === "debug").map(({ fields }) => fields.code)).toEqual([
    "INTERNAL",
    "NOT_FOUND",
  ]);
});

test("a call's span continues the caller's trace, and its SQL hangs below it", async () => {
  const exporter = new InMemorySpanExporter();
  // Shutting the exporter down forgets its spans, so they are taken as they come.
  const spans: ReturnType<InMemorySpanExporter["getFinishedSpans"]> = [];
  const send = exporter.export.bind(exporter);
  exporter.export = (batch, done) => {
    spans.push(...batch);
    send(batch, done);
  };
  const tracing = createOtlpTracing(tracingOptions, exporter);
  const { requests } = createMetrics({ logger: silentLogger });
  const observer = createCallObserver({
    requests,
    logger: silentLogger,
    clock: systemClock,
    tracing,
    accessLog: false,
  });

  const exchange = exchangeOf(getTask, { traceparent: TRACEPARENT, peer: "10.0.0.1" });
  const observed = observer.begin(exchange);
  expect(exchange.call.traceId).toBe(TRACE_ID);
  await observed.run(async () => {
    await Promise.resolve();
    expect(tracing.currentTraceId()).toBe(TRACE_ID);
    tracing.onQuery("SELECT  *\n FROM tasks WHERE id = $1", 5);
  });
  observed.end(new AppError("UNAVAILABLE", "DATABASE_UNAVAILABLE", "Later."));
  tracing.onQuery("SELECT 1", 1);
  expect(tracing.currentTraceId()).toBeUndefined();
  await tracing.stop(1_000);

  expect(spans.map(({ name }) => name).sort()).toEqual(["SELECT", "tasks.get"]);
  const call = spans.find(({ name }) => name === "tasks.get")!;
  const query = spans.find(({ name }) => name === "SELECT")!;
  expect(call.parentSpanContext?.spanId).toBe("00f067aa0ba902b7");
  expect(call.attributes).toMatchObject({
    "tarl.operation": "tasks.get",
    "tarl.protocol": "rest",
    "tarl.code": "UNAVAILABLE",
    "error.type": "DATABASE_UNAVAILABLE",
    "rpc.service": "tarl.v1.TaskService",
    "client.address": "10.0.0.1",
  });
  expect(call.status.code).toBe(2);
  expect(query.parentSpanContext?.spanId).toBe(call.spanContext().spanId);
  expect(query.attributes["db.query.text"]).toBe("SELECT * FROM tasks WHERE id = $1");
});

test("a caller that decided not to sample is heeded, and a broken traceparent begins a new trace", () => {
  const exporter = new InMemorySpanExporter();
  const tracing = createOtlpTracing(tracingOptions, exporter);
  const unsampled = tracing.begin(exchangeOf(getTask, { traceparent: TRACEPARENT.replace(/01$/, "00") }));
  expect(unsampled.traceId).toBe(TRACE_ID);
  const fresh = tracing.begin(exchangeOf(getTask, { traceparent: "00-zz" }));
  expect(fresh.traceId).toMatch(/^[0-9a-f]{32}$/);
  expect(fresh.traceId).not.toBe(TRACE_ID);
});

test("spans reach a collector over OTLP, and a collector that refuses them is reported once", async () => {
  const paths: (string | undefined)[] = [];
  const collector = createServer((request, response) => {
    paths.push(request.url);
    request.resume().on("end", () => response.writeHead(paths.length === 1 ? 200 : 400).end());
  });
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  const { logger, lines } = recordingLogger();
  try {
    for (let round = 0; round < 2; round++) {
      const tracing = await startTracing({ ...tracingOptions, endpoint, logger });
      tracing.begin(exchangeOf(getTask)).end();
      await tracing.stop(5_000);
      expect(lines).toHaveLength(round);
    }
    expect(paths).toEqual(["/v1/traces", "/v1/traces"]);
  } finally {
    collector.close();
  }
});
