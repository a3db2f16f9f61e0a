import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { AppError } from "../../core/errors.ts";
import { type RestFixture, sendRaw, startFixture } from "./test-fixture.ts";

const WATCH = "/v1/namespaces/a/things:watch";
let fixture: RestFixture | undefined;

afterEach(async () => {
  await fixture?.transport.stop(0);
  fixture = undefined;
});

async function start(limits: Parameters<typeof startFixture>[0] = {}) {
  fixture = await startFixture(limits);
  return fixture;
}

const NDJSON = { accept: "application/x-ndjson" };
const text = async (url: string, headers: Record<string, string> = {}) => (await fetch(url, { headers })).text();

/** Resolves when the call is aborted, as a watch does that has nothing to say. */
const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));

/** Reads from `reader` until what came so far holds `wanted`. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, wanted: string): Promise<string> {
  let seen = "";
  while (!seen.includes(wanted)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`ended after: ${seen}`);
    seen += Buffer.from(value).toString();
  }
  return seen;
}

test("SSE carries the cursor, and ends with a record that says so", async () => {
  const { url } = await start();
  const answer = await fetch(url + WATCH);
  expect(answer.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(await answer.text()).toBe(
    'id: c1\ndata: {"cursor":"c1","text":"one"}\n\n' +
      'event: end\nid: c1\ndata: {"reason":"COMPLETED","cursor":"c1"}\n\n',
  );
});

test("NDJSON on request", async () => {
  const { url } = await start();
  expect(await text(url + WATCH, NDJSON)).toBe(
    '{"result":{"cursor":"c1","text":"one"},"cursor":"c1"}\n{"end":true,"reason":"COMPLETED","cursor":"c1"}\n',
  );
});

test("Last-Event-ID resumes, whatever the URL says", async () => {
  const { url, script } = await start();
  script.run = async function* (input) {
    yield { cursor: "c9", text: `from ${input.cursor}` };
  };
  expect(await text(`${url}${WATCH}?cursor=c3`)).toContain("from c3");
  expect(await text(`${url}${WATCH}?cursor=c3`, { "last-event-id": "c8" })).toContain("from c8");
});

test("an early failure has its own status", async () => {
  const { url, script } = await start();
  script.run = () => {
    throw new AppError("PERMISSION_DENIED", "NOT_YOURS", "No.");
  };
  const answer = await fetch(url + WATCH);
  expect(answer.status).toBe(403);
  expect(await answer.json()).toMatchObject({ reason: "NOT_YOURS", code: "PERMISSION_DENIED" });
  expect((await fetch(`${url}${WATCH}?colour=1`)).status).toBe(400);
});

test("a late failure is a last record", async () => {
  const { url, script } = await start();
  script.run = async function* () {
    yield { cursor: "c1", text: "one" };
    throw new AppError("UNAVAILABLE", "STORE_DOWN", "Try again.", { retryAfterMs: 500 });
  };
  const sse = await text(url + WATCH, { "x-request-id": "r-9" });
  expect(sse).toMatch(/\n\nevent: error\nid: c1\ndata: \{.*"reason":"STORE_DOWN".*"requestId":"r-9"\}\n\n$/);
  const lines = (await text(url + WATCH, NDJSON)).trim().split("\n");
  expect(JSON.parse(lines.at(-1)!)).toMatchObject({ error: { status: 503, retryAfterMs: 500 }, cursor: "c1" });
});

test.each([
  ["soon shows that it is connected", { streamQuietMs: 5, streamHeartbeatMs: 60_000 }, ": heartbeat\n\n"],
  ["goes on showing it", { streamQuietMs: 60_000, streamHeartbeatMs: 10 }, ": heartbeat\n\n: heartbeat\n\n"],
])("a silent stream %s", async (_name, limits, seen) => {
  const { url, script } = await start({ limits });
  // biome-ignore lint/correctness/useYield: the stream under test says nothing.
  script.run = async function* (_input, call) {
    await aborted(call.signal);
  };
  const answer = await fetch(url + WATCH);
  expect(answer.status).toBe(200);
  await readUntil(answer.body!.getReader(), seen);
});

test("a client that leaves ends the operation", async () => {
  const { url, script, calls } = await start();
  let isFinished = false;
  script.run = async function* (_input, call) {
    try {
      yield { cursor: "c1", text: "one" };
      await aborted(call.signal);
    } finally {
      isFinished = true;
    }
  };
  const leaving = new AbortController();
  const answer = await fetch(url + WATCH, { signal: leaving.signal });
  await readUntil(answer.body!.getReader(), "c1");
  leaving.abort();
  await expect.poll(() => isFinished).toBe(true);
  expect(calls[0]?.abortReason?.reason).toBe("CLIENT_CLOSED");
});

test("a consumer that does not read is bounded and then ended", async () => {
  const { port, script, calls } = await start({ limits: { streamBufferBytes: 100_000, streamStallMs: 100 } });
  let producedBytes = 0;
  script.run = async function* () {
    for (;;) {
      producedBytes += 10_000;
      yield { cursor: "c", text: "x".repeat(10_000) };
    }
  };
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.pause();
  socket.write(`GET ${WATCH} HTTP/1.1\r\nHost: x\r\n\r\n`);
  await expect.poll(() => calls[0]?.abortReason?.reason, { timeout: 5_000 }).toBe("CLIENT_TOO_SLOW");
  // What the kernel's own socket buffers take comes on top of the bound.
  expect(producedBytes).toBeLessThan(20_000_000);
  socket.destroy();
});

test("a fast consumer gets everything in order", async () => {
  const { url, script } = await start({ limits: { streamBufferBytes: 1_000 } });
  script.run = async function* () {
    for (let index = 0; index < 2_000; index++) yield { cursor: String(index), text: "x".repeat(500) };
  };
  const lines = (await text(url + WATCH, NDJSON)).trim().split("\n");
  expect(lines.slice(0, -1).map((line) => JSON.parse(line).cursor)).toEqual(
    Array.from({ length: 2_000 }, (_, index) => String(index)),
  );
});

test("a stop ends streams with their cursor and tells requests that are late that the gateway stops", async () => {
  const { url, port, script, transport, calls } = await start();
  script.run = async function* (_input, call) {
    yield { cursor: "c5", text: "five" };
    await aborted(call.signal);
  };
  const answer = await fetch(url + WATCH);
  const reader = answer.body!.getReader();
  await readUntil(reader, "five");
  const late = sendRaw(port, "POST /v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
  const silent = sendRaw(port, "");
  await expect.poll(() => calls.length).toBe(2);

  const stopping = transport.stop(200);
  expect(transport.stop(200)).toBe(stopping);
  expect(await readUntil(reader, "event: end")).toContain('{"reason":"GATEWAY_DRAINING","cursor":"c5"}');
  expect((await reader.read()).done).toBe(true);
  expect(calls[0]?.abortReason?.reason).toBe("GATEWAY_DRAINING");
  await stopping;
  expect(await silent).toBe("");
  expect(await late).toMatch(/^HTTP\/1.1 503 [\s\S]*Connection: close[\s\S]*"reason":"GATEWAY_DRAINING"/);
  expect(calls[1]?.abortReason).toMatchObject({ code: "UNAVAILABLE", reason: "GATEWAY_DRAINING" });
  await expect(fetch(url)).rejects.toThrow();
});

test("a request under way at the stop is answered, and its connection closed", async () => {
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let entered = () => {};
  const hasEntered = new Promise<void>((resolve) => {
    entered = resolve;
  });
  const { port, transport } = await start({
    dispatcher: {
      async unary() {
        entered();
        await finished;
        return { ok: true };
      },
      async *serverStream() {},
      async *bidi() {},
    },
  });
  // A connection opened ahead, as browsers do, must not hold the stop until its deadline.
  const silent = sendRaw(port, "");
  const answer = sendRaw(port, "POST /v1/wait HTTP/1.1\r\nHost: x\r\n\r\n");
  await hasEntered;
  const stopping = transport.stop(60_000);
  finish();
  expect(await answer).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*Connection: close[\s\S]*\{"ok":true\}$/);
  await stopping;
  expect(await silent).toBe("");
});

test("a port in use is said to be", async () => {
  const { port } = await start();
  await expect(startFixture({ port })).rejects.toThrow(/TARL_REST_PORT/);
});
