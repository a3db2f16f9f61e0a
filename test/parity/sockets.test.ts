import { connect } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import WebSocket from "ws";
import { PROTOCOLS, type ProtocolName } from "../support/clients-model.ts";
import { type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";

const BUDGET_MS = 2_500;
/** A client that has said all it had to say must not be kept waiting. */
const MAX_WAIT_MS = 5_000;
const HTTP2_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

let gateway: ParityGateway;

beforeAll(async () => {
  gateway = await startParityGateway();
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

function portOf(protocol: ProtocolName): number {
  return Number(/:(\d+)/.exec(gateway.addresses[protocol].replace(/^\w+:\/\//, ""))![1]);
}

/** Sends bytes and the end of them, and answers all that comes back until the gateway closes. */
function sendRaw(protocol: ProtocolName, bytes: Uint8Array | string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: portOf(protocol), host: "127.0.0.1" });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`The connection to ${protocol} stayed open for ${MAX_WAIT_MS} ms after its last byte.`));
    }, MAX_WAIT_MS);
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("error", () => {});
    socket.once("close", () => {
      clearTimeout(timer);
      resolve(text);
    });
    socket.end(bytes);
  });
}

async function checkHealth(): Promise<void> {
  for (const protocol of PROTOCOLS) {
    const outcome = await gateway.clients[protocol].call("system.getInfo", {}, { authorization: gateway.admin });
    expect(outcome, `getInfo over ${protocol} after the junk`).toMatchObject({ ok: true });
  }
  expect(gateway.logged, "what the gateway logged").toEqual([]);
}

function expectNoFault(answer: string): void {
  expect(answer.slice(0, 400)).not.toMatch(/HTTP\/1\.1 50[02]|"INTERNAL"/);
}

const bounded = { numRuns: 100_000, interruptAfterTimeLimit: BUDGET_MS, markInterruptAsFailure: false } as const;
const bytes = fc.uint8Array({ maxLength: 2000 });

test("random bytes at each port close that connection and no other", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...PROTOCOLS), fc.boolean(), bytes, async (protocol, isHttp2, junk) => {
      expectNoFault(await sendRaw(protocol, isHttp2 ? Buffer.concat([Buffer.from(HTTP2_PREFACE), junk]) : junk));
    }),
    bounded,
  );
  await checkHealth();
}, 30_000);

/** A good request of each HTTP port. */
function goodRequest(protocol: "rest" | "graphql"): string {
  const body =
    protocol === "rest"
      ? '{"kind":"embed","payload":{"a":[1,2,null]},"labels":{"a":"b"}}'
      : '{"query":"mutation($i: EnqueueTaskInput!) { enqueueTask(input: $i) { task { taskId } } }","variables":{"i":{"namespace":"default","queue":"q","kind":"k"}}}';
  const path = protocol === "rest" ? "/v1/namespaces/default/queues/q/tasks" : "/graphql";
  return [
    `POST ${path} HTTP/1.1`,
    "Host: x",
    "Connection: close",
    "Content-Type: application/json",
    `Authorization: ${gateway.admin}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    "",
    body,
  ].join("\r\n");
}

test("requests that are cut or damaged anywhere are answered or closed", async () => {
  const damage = fc.record({
    at: fc.nat(),
    drop: fc.nat({ max: 30 }),
    add: fc.uint8Array({ maxLength: 20 }),
    isCut: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom("rest", "graphql"), damage, async (protocol, { at, drop, add, isCut }) => {
      const good = Buffer.from(goodRequest(protocol));
      const place = at % good.length;
      const rest = isCut ? Buffer.alloc(0) : good.subarray(place + drop);
      expectNoFault(await sendRaw(protocol, Buffer.concat([good.subarray(0, place), add, rest])));
    }),
    bounded,
  );
  await checkHealth();
}, 30_000);

test("GraphQL documents that make no sense are refused with a code", async () => {
  const words = fc.constantFrom(
    "{",
    "}",
    "(",
    ")",
    "query",
    "mutation",
    "subscription",
    "fragment F on Task",
    "...F",
    "... on Task",
    "task",
    "tasks",
    'namespace: "default"',
    "$x",
    ": String",
    "@include(if: $x)",
    "@skip",
    "__schema",
    "__typename",
    "a:",
    "[",
    "]",
    "!",
    '"""',
    "#",
    "\u0000",
    "🦊",
    "1e999",
    "null",
    "queue { tasks { worker { tasks",
    "whoAmI",
    "enqueueTask(input: null)",
  );
  const document = fc.oneof(
    fc.array(words, { maxLength: 60 }).map((list) => list.join(" ")),
    fc.string({ maxLength: 200 }),
  );
  await fc.assert(
    fc.asyncProperty(document, fc.option(fc.jsonValue({ maxDepth: 2 })), async (query, variables) => {
      const body = JSON.stringify({ query, variables });
      const answer = await fetch(gateway.addresses.graphql, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: gateway.admin },
        body,
        signal: AbortSignal.timeout(MAX_WAIT_MS),
      });
      const text = await answer.text();
      expect(answer.status, text).toBeLessThan(500);
      expect(text).not.toContain('"INTERNAL"');
    }),
    bounded,
  );
  await checkHealth();
}, 30_000);

/** Opens a socket, sends frames, and answers the code it was closed with. */
function sendFrames(frames: readonly (string | Uint8Array)[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(gateway.addresses.graphql.replace("http", "ws"), "graphql-transport-ws");
    const timer = setTimeout(() => {
      socket.terminate();
      reject(new Error("The socket was not closed in time."));
    }, MAX_WAIT_MS);
    socket.on("error", () => {});
    socket.once("close", (code) => {
      clearTimeout(timer);
      resolve(code);
    });
    socket.once("open", () => {
      for (const frame of frames) socket.send(frame);
      socket.close(1000);
    });
  });
}

test("frames that are no messages close the socket as the protocol says", async () => {
  const subscribe = (payload: unknown) => JSON.stringify({ id: "1", type: "subscribe", payload });
  const message = fc.oneof(
    fc.constantFrom(
      '{"type":"connection_init"}',
      '{"type":"connection_init","payload":5}',
      `{"type":"connection_init","payload":{"authorization":["x"]}}`,
      '{"type":"ping"}',
      '{"type":"pong","payload":null}',
      '{"type":"connection_ack"}',
      '{"type":"next","id":"1","payload":{}}',
      '{"type":"complete","id":"1"}',
      '{"type":"error","id":"1","payload":[]}',
      subscribe({ query: "{ whoAmI { principalId } }" }),
      subscribe({ query: 'subscription { watchTasks(namespace: "default") { cursor } }' }),
      subscribe({ query: "{", variables: 5 }),
      subscribe(null),
      '{"id":5,"type":"subscribe"}',
      "null",
      "[]",
      '{"__proto__":{"type":"ping"}}',
      "{",
    ),
    fc.string({ unit: "binary", maxLength: 100 }),
    fc.jsonValue().map((value) => JSON.stringify(value)),
    fc.uint8Array({ maxLength: 100 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 6 }), async (frames) => {
      expect([1011, 4500, 1006]).not.toContain(await sendFrames(frames));
    }),
    bounded,
  );
  await checkHealth();
}, 30_000);
