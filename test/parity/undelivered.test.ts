import { once } from "node:events";
import { connect as connectHttp2, constants } from "node:http2";
import { connect } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { createGrpcWire } from "../support/clients-grpc.ts";
import type { Input, ProtocolName } from "../support/clients-model.ts";
import { restRequest } from "../support/clients-rest.ts";
import { eventually } from "../support/eventually.ts";
import { type Actor, type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";

/** More than sockets between two processes of one machine hold for a client that does not read. */
const UNREAD_BYTES = 12_000_000;
/** More than one gRPC answer may have. */
const UNSENDABLE_BYTES = 17_000_000;
const LIMITS = { TARL_MAX_PAYLOAD_BYTES: "20000000", TARL_MAX_REQUEST_BYTES: "24000000" };

let gateway: ParityGateway;
const wire = createGrpcWire();

beforeAll(async () => {
  gateway = await startParityGateway(LIMITS);
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

/** A request whose answer the client never reads. */
interface Unread {
  /** Breaks the connection off. */
  leave(): void;
}

const LEASE_MUTATION =
  "mutation($input: LeaseTasksInput!) { leaseTasks(input: $input) { tasks { taskId fence payload } } }";

function httpRequest(url: URL, path: string, body: string): string {
  return [
    `POST ${path} HTTP/1.1`,
    `Host: ${url.host}`,
    "Content-Type: application/json",
    `Authorization: ${gateway.admin}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}

async function sendHttp(address: string, path: string, body: string): Promise<Unread> {
  const url = new URL(address);
  const socket = connect(Number(url.port), url.hostname);
  socket.pause();
  await once(socket, "connect");
  socket.write(httpRequest(url, path, body));
  return { leave: () => socket.resetAndDestroy() };
}

async function sendGrpc(operation: string, input: Input): Promise<Unread> {
  const session = connectHttp2(`http://${gateway.addresses.grpc}`);
  const message = wire.encode(operation, input);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  const stream = session.request({
    ":method": "POST",
    ":path": wire.path(operation),
    "content-type": "application/grpc",
    te: "trailers",
    authorization: gateway.admin,
  });
  stream.on("error", () => {});
  stream.end(Buffer.concat([head, message]));
  return {
    leave() {
      stream.close(constants.NGHTTP2_CANCEL);
      session.close();
    },
  };
}

/** A mutation over WebSocket. The socket underneath stops reading once the mutation is sent. */
async function sendOverSocket(variables: object): Promise<Unread> {
  const url = gateway.addresses.graphql.replace("http", "ws");
  const socket = new WebSocket(url, "graphql-transport-ws", { headers: { authorization: gateway.admin } });
  await once(socket, "open");
  socket.send('{"type":"connection_init"}');
  await once(socket, "message");
  socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query: LEASE_MUTATION, variables } }));
  socket.pause();
  return { leave: () => socket.terminate() };
}

const WAYS: Record<string, { protocol: ProtocolName; send(input: Input): Promise<Unread> }> = {
  REST: {
    protocol: "rest",
    send(input) {
      const { path, body } = restRequest("tasks.lease", input);
      return sendHttp(gateway.addresses.rest, path, String(body));
    },
  },
  gRPC: { protocol: "grpc", send: (input) => sendGrpc("tasks.lease", input) },
  GraphQL: {
    protocol: "graphql",
    send: (input) =>
      sendHttp(gateway.addresses.graphql, "/graphql", JSON.stringify({ query: LEASE_MUTATION, variables: { input } })),
  },
  "GraphQL over WebSocket": { protocol: "graphql", send: (input) => sendOverSocket({ input }) },
};

async function countsOf(actor: Actor): Promise<{ ready: number; leased: number }> {
  const { depth } = (await actor.must("queues.stats", { queue: "q" })) as {
    depth: { ready: number; leased: number }[];
  };
  const sum = (state: "ready" | "leased") => depth.reduce((total, one) => total + one[state], 0);
  return { ready: sum("ready"), leased: sum("leased") };
}

test.each(Object.entries(WAYS))(
  "tasks leased to a %s client that has gone are released at once",
  async (name, way) => {
    const actor = await gateway.actor("rest", `gone-${name.toLowerCase().replaceAll(/\W+/g, "-")}`);
    await actor.must("tasks.enqueue", { queue: "q", kind: "k", payload: "x".repeat(UNREAD_BYTES) });
    const unread = await way.send({ namespace: actor.namespace, queue: "q", workerId: "w", leaseMs: 300_000 });
    await eventually("the task is leased", async () => (await countsOf(actor)).leased === 1);
    unread.leave();
    await eventually("the task is ready again", async () => (await countsOf(actor)).ready === 1);
    const { tasks } = await actor.must("tasks.list", { pageSize: 1 });
    expect(tasks[0].attempt).toBe(0);
  },
  60_000,
);

test("a task that is too large for an answer over gRPC is released at once", async () => {
  const rest = await gateway.actor("rest", "unsendable");
  await rest.must("tasks.enqueue", { queue: "q", kind: "k", payload: "x".repeat(UNSENDABLE_BYTES) });
  const lease = { namespace: rest.namespace, queue: "q", workerId: "w", leaseMs: 300_000 };
  const refused = await gateway.clients.grpc.call("tasks.lease", lease, { authorization: gateway.admin });
  expect(refused).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "ANSWER_TOO_LARGE" });
  await eventually("the task is ready again", async () => (await countsOf(rest)).ready === 1);
  const { tasks } = await rest.must("tasks.lease", lease);
  expect(tasks).toMatchObject([{ attempt: 1 }]);
}, 60_000);

test.each(["rest", "grpc", "graphql"] as const)(
  "what one lease answers over %s fits what gRPC clients take in, and the rest is there for the next",
  async (protocol) => {
    const actor = await gateway.actor(protocol, `fits-${protocol}`);
    // Small numbers are several times longer in protobuf than in JSON.
    const payload = Array.from({ length: 60_000 }, () => 1);
    const tasks = Array.from({ length: 12 }, () => ({ kind: "k", payload }));
    await actor.must("tasks.batchEnqueue", { queue: "q", tasks });
    const seen = new Set<string>();
    for (let left = 12; left > 0; ) {
      const leased = await actor.must("tasks.lease", { queue: "q", workerId: "w", maxTasks: 100, leaseMs: 300_000 });
      expect(leased.tasks.length).toBeGreaterThan(0);
      expect(leased.tasks.length).toBeLessThan(12);
      for (const task of leased.tasks) {
        expect(task.attempt).toBe(1);
        seen.add(task.taskId);
      }
      left -= leased.tasks.length;
    }
    expect(seen.size).toBe(12);
  },
  60_000,
);

test.each(["rest", "grpc", "graphql"] as const)(
  "tasks whose lease was answered over %s stay leased",
  async (protocol) => {
    const actor = await gateway.actor(protocol, `kept-${protocol}`);
    await actor.must("tasks.enqueue", { queue: "q", kind: "k" });
    const { tasks } = await actor.must("tasks.lease", { queue: "q", workerId: "w", leaseMs: 300_000 });
    const [{ taskId, fence }] = tasks;
    expect(await actor.must("tasks.complete", { taskId, fence })).toMatchObject({ task: { state: "COMPLETED" } });
  },
);
