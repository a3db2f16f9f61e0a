import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import protobuf from "protobufjs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type GatewayProcess, showGatewaysOnFailure, startGateway } from "../support/gateway-process.ts";
import { restClient } from "./client.ts";

showGatewaysOnFailure();

/** As much of opentelemetry/proto/collector/trace/v1 as is read here; a reader skips the rest. */
const OTLP = protobuf.parse(`
  syntax = "proto3";
  message Request { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { repeated Span spans = 2; }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5;
    repeated KeyValue attributes = 9;
  }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { string string_value = 1; }
`).root;

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly name: string;
  readonly attributes: Record<string, string>;
}

const spans: Span[] = [];
let services: string[] = [];
let collector: Server;
let gateway: GatewayProcess;
beforeAll(async () => {
  collector = createServer(async (request, response) => {
    const body = await buffer(request);
    if (request.url === "/v1/traces") take(request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body);
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  gateway = await startGateway({ environment: { TARL_OTLP_ENDPOINT: endpoint, TARL_LOG_LEVEL: "debug" } });
}, 120_000);
afterAll(async () => {
  await gateway?.remove();
  collector?.close();
});

function take(body: Buffer): void {
  const type = OTLP.lookupType("Request");
  // biome-ignore lint/suspicious/noExplicitAny: as described above.
  const request = type.toObject(type.decode(body), { bytes: Buffer, arrays: true }) as any;
  const entries = (list: { key: string; value?: { stringValue?: string } }[]) =>
    Object.fromEntries(list.map(({ key, value }) => [key, value?.stringValue ?? ""]));
  const hex = (bytes: Buffer | undefined) => Buffer.from(bytes ?? []).toString("hex");
  for (const { resource, scopeSpans } of request.resourceSpans) {
    services = [...services, entries(resource.attributes)["service.name"] ?? ""];
    for (const span of scopeSpans.flatMap((scope: { spans: object[] }) => scope.spans)) {
      spans.push({
        traceId: hex(span.traceId),
        spanId: hex(span.spanId),
        parentSpanId: hex(span.parentSpanId),
        name: span.name,
        attributes: entries(span.attributes),
      });
    }
  }
}

test("a call is traced from its traceparent down to the SQL, and its log line names the trace", async () => {
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  const parentId = "00f067aa0ba902b7";
  const client = restClient(gateway, gateway.adminKey);
  const headers = { traceparent: `00-${traceId}-${parentId}-01`, "x-request-id": "the-request" };
  const { status, body } = await client.post("/namespaces/default/queues/q/tasks", { kind: "secret-kind" }, headers);
  expect(status).toBe(200);

  // Ending it sends what is left.
  await eventually("the line is written", () => gateway.logLines().some((line) => line.requestId === "the-request"));
  await gateway.stop();
  const ours = spans.filter((span) => span.traceId === traceId);
  const call = ours.find(({ name }) => name === "tasks.enqueue")!;
  expect(call).toMatchObject({
    parentSpanId: parentId,
    attributes: { "tarl.protocol": "rest", "tarl.code": "OK", "tarl.namespace": "default" },
  });
  expect(call.attributes["tarl.request_id"]).toBe("the-request");
  const statements = ours.filter(({ parentSpanId }) => parentSpanId === call.spanId);
  expect(statements.map(({ attributes }) => attributes["db.query.text"]).join("\n")).toContain("INTO tasks");
  expect(JSON.stringify(ours)).not.toContain("secret-kind");
  expect(new Set(services)).toEqual(new Set(["tarl-gateway"]));

  const line = gateway.logLines().find(({ requestId }) => requestId === "the-request")!;
  expect(line).toMatchObject({ traceId, operation: "tasks.enqueue", namespace: "default", code: "OK" });
  expect(gateway.output()).not.toContain(gateway.adminKey);
  expect(body.task.kind).toBe("secret-kind");
}, 120_000);
