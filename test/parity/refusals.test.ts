import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";

/** What is refused before any operation is found or reached is counted under the operation "none". */

let gateway: ParityGateway;
let session: ClientHttp2Session;

beforeAll(async () => {
  gateway = await startParityGateway();
  session = connectHttp2(`http://${gateway.addresses.grpc}`);
}, START_MS);
afterAll(async () => {
  session?.destroy();
  await gateway?.stop();
});

const headers = () => ({ authorization: gateway.admin, "content-type": "application/json" });
const rest = (path: string, init: RequestInit = {}) =>
  fetch(gateway.addresses.rest + path, { ...init, headers: { ...headers(), ...init.headers } });
const graphql = (body: string) => fetch(gateway.addresses.graphql, { method: "POST", headers: headers(), body });

function sendRaw(text: string): Promise<void> {
  const { hostname, port } = new URL(gateway.addresses.rest);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write(text));
    socket.resume();
    socket.on("error", () => {});
    socket.once("close", () => resolve());
  });
}

/** Calls a method by its path with a message of these bytes, and answers the status it ends with. */
function grpc(path: string, bytes: Uint8Array): Promise<string> {
  const frame = Buffer.alloc(5 + bytes.length);
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, 5);
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc",
      authorization: gateway.admin,
    });
    let status: unknown;
    stream.on("response", (head) => {
      status = head["grpc-status"];
    });
    stream.on("trailers", (trailers) => {
      status ??= trailers["grpc-status"];
    });
    stream.on("error", reject);
    stream.on("close", () => resolve(String(status)));
    stream.resume();
    stream.end(frame);
  });
}

async function countedAs(protocol: string, code: string): Promise<number> {
  const text = await (await rest("/metrics")).text();
  const line = `tarl_requests_total{operation="none",protocol="${protocol}",code="${code}"} `;
  const found = text.split("\n").find((candidate) => candidate.startsWith(line));
  return found ? Number(found.slice(line.length)) : 0;
}

const TASKS = "/v1/namespaces/default/queues/q/tasks";
const REFUSED: Record<string, readonly [protocol: string, code: string, send: () => Promise<unknown>]> = {
  "a path that leads nowhere": ["rest", "NOT_FOUND", () => rest("/v1/nothing")],
  "a method that a path does not have": ["rest", "UNIMPLEMENTED", () => rest(TASKS, { method: "PUT" })],
  "a method that a page does not have": ["rest", "UNIMPLEMENTED", () => rest("/docs", { method: "POST" })],
  "a body that is too large": [
    "rest",
    "RESOURCE_EXHAUSTED",
    () => rest(TASKS, { method: "POST", body: JSON.stringify("x".repeat(5_000_000)) }),
  ],
  "a body that is no JSON": ["rest", "INVALID_ARGUMENT", () => rest(TASKS, { method: "POST", body: "{" })],
  "a body of another type": [
    "rest",
    "INVALID_ARGUMENT",
    () => rest(TASKS, { method: "POST", body: "x", headers: { "content-type": "text/plain" } }),
  ],
  "a URL that is too long": ["rest", "INVALID_ARGUMENT", () => rest(`/v1/${"x".repeat(9_000)}`)],
  "headers that are too large": [
    "rest",
    "INVALID_ARGUMENT",
    () => sendRaw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(20_000)}\r\n\r\n`),
  ],
  "a query that cannot be parsed": ["graphql", "INVALID_ARGUMENT", () => graphql('{"query":"{"}')],
  "a field that is not there": ["graphql", "INVALID_ARGUMENT", () => graphql('{"query":"{ nothing }"}')],
  "variables of the wrong type": [
    "graphql",
    "INVALID_ARGUMENT",
    () => graphql('{"query":"query($n: String!) { queues(namespace: $n) { nextPageToken } }","variables":{"n":7}}'),
  ],
  "a request that is no GraphQL": ["graphql", "INVALID_ARGUMENT", () => graphql("{")],
  "a method that no service has": [
    "grpc",
    "UNIMPLEMENTED",
    () => grpc("/tarl.v1.TaskService/Nothing", Buffer.alloc(0)),
  ],
  "bytes that are no message": [
    "grpc",
    "INVALID_ARGUMENT",
    () => grpc("/tarl.v1.TaskService/GetTask", Buffer.from([7])),
  ],
  "a message that is too large": [
    "grpc",
    "RESOURCE_EXHAUSTED",
    () => grpc("/tarl.v1.TaskService/GetTask", Buffer.alloc(5_000_000)),
  ],
};

test.each(Object.entries(REFUSED))("%s is counted once", async (_name, [protocol, code, send]) => {
  const before = await countedAs(protocol, code);
  await send();
  expect(await countedAs(protocol, code)).toBe(before + 1);
});

test("what an operation answers is counted under its own name alone", async () => {
  const before = await countedAs("rest", "INVALID_ARGUMENT");
  await rest(TASKS, { method: "POST", body: "{}" });
  expect(await countedAs("rest", "INVALID_ARGUMENT")).toBe(before);
});

test("nothing of all this failed inside the gateway", () => {
  expect(gateway.logged).toEqual([]);
});
