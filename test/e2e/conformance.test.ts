import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { BUF } from "../../src/transports/grpc/testing/buf.ts";
import { type GatewayProcess, showGatewaysOnFailure, startGateway } from "../support/gateway-process.ts";
import { restClient } from "./client.ts";

showGatewaysOnFailure();

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway();
}, 120_000);
afterAll(() => gateway?.remove());

/** buf is written in Go: its gRPC shares nothing with ours. It knows the protos through reflection alone. */
async function bufCurl(path: string, request: object, key?: string): Promise<{ stdout: string; stderr: string }> {
  const auth = key === undefined ? [] : ["--reflect-header", "*", "-H", `authorization: Bearer ${key}`];
  const url = `http://${gateway.grpc}${path}`;
  const flags = ["--protocol", "grpc", "--http2-prior-knowledge", ...auth, "-d", JSON.stringify(request), url];
  const running = promisify(execFile)(process.execPath, [BUF, "curl", ...flags], { timeout: 25_000 });
  return running.catch((error) => error);
}

test("a client in Go asks for health, without a key", async () => {
  const health = await bufCurl("/grpc.health.v1.Health/Check", {});
  expect(JSON.parse(health.stdout)).toEqual({ status: "SERVING" });
  const ofService = await bufCurl("/grpc.health.v1.Health/Check", { service: "tarl.v1.TaskService" });
  expect(JSON.parse(ofService.stdout)).toEqual({ status: "SERVING" });
});

test("a client in Go finds our services by reflection and works with them", async () => {
  const request = { namespace: "default", queue: "go", kind: "k", payload: { a: [1, null] }, labels: { by: "buf" } };
  const enqueued = await bufCurl("/tarl.v1.TaskService/EnqueueTask", request, gateway.adminKey);
  const { task } = JSON.parse(enqueued.stdout);
  expect(task).toMatchObject({ payload: { a: [1, null] }, labels: { by: "buf" }, state: "TASK_STATE_READY" });
  const client = restClient(gateway, gateway.adminKey);
  const seen = await client.get(`/namespaces/default/tasks/${task.taskId}`);
  expect(seen.body.task).toMatchObject({ payload: { a: [1, null] }, state: "READY", createdAt: task.createdAt });

  const keyless = await bufCurl("/tarl.v1.TaskService/EnqueueTask", request);
  expect(JSON.parse(keyless.stderr).code).toBe("unauthenticated");
  const wrong = { namespace: "default", taskId: task.taskId, fence: 7 };
  const refused = JSON.parse((await bufCurl("/tarl.v1.TaskService/CompleteTask", wrong, gateway.adminKey)).stderr);
  expect(refused).toMatchObject({ code: "aborted", details: [{ type: "google.rpc.ErrorInfo" }] });
}, 120_000);

test("the probes say how it is", async () => {
  const live = await fetch(`${gateway.rest}/livez`);
  expect([live.status, await live.json()]).toEqual([200, { status: "SERVING" }]);
  const ready = await fetch(`${gateway.rest}/readyz`);
  expect([ready.status, await ready.json()]).toMatchObject([200, { status: "SERVING", checks: { database: "ok" } }]);
});

test("metrics tell of requests and queues in Prometheus's form", async () => {
  const client = restClient(gateway, gateway.adminKey);
  await client.post("/namespaces/default/queues/measured/tasks", { kind: "k" });
  await client.get("/namespaces/default/tasks/not-an-id");
  const response = await fetch(`${gateway.rest}/metrics`);
  expect(response.headers.get("content-type")).toContain("text/plain");
  const lines = (await response.text()).split("\n");
  const value = (name: string, ...labels: string[]) => {
    const line = lines.find((one) => one.startsWith(`${name}{`) && labels.every((label) => one.includes(label)));
    return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(" ")));
  };
  const enqueue = ['operation="tasks.enqueue"', 'protocol="rest"'];
  expect(value("tarl_requests_total", ...enqueue, 'code="OK"')).toBeGreaterThanOrEqual(1);
  expect(value("tarl_requests_total", 'operation="tasks.get"', 'code="INVALID_ARGUMENT"')).toBe(1);
  expect(value("tarl_request_duration_seconds_bucket", ...enqueue, 'le="+Inf"')).toBeGreaterThanOrEqual(1);
  expect(value("tarl_queue_ready_tasks", 'queue="measured"')).toBe(1);
  for (const line of lines) expect(line).toMatch(/^(#.*|[a-z_][a-z0-9_]*(\{.*\})? (-?[\d.e+-]+|NaN|\+Inf))?$/i);
});

test("the docs need no key and no internet", async () => {
  const openapi = (await (await fetch(`${gateway.rest}/openapi.json`)).json()) as Record<string, object>;
  expect(openapi.openapi).toMatch(/^3\.1\./);
  expect(openapi.paths).toHaveProperty(["/v1/namespaces/{namespace}/queues/{queue}/tasks:lease", "post"]);
  for (const page of [`${gateway.rest}/docs`, gateway.graphql]) {
    const response = await fetch(page, { headers: { accept: "text/html" } });
    expect(response.status).toBe(200);
    const html = await response.text();
    const sources = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]!);
    expect(sources.filter((source) => /^(https?:)?\/\//.test(source))).toEqual([]);
    const local = sources.filter((source) => /\.(js|css)$/.test(source));
    for (const source of local) expect((await fetch(new URL(source, response.url))).status).toBe(200);
  }
});
