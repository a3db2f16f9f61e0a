import { once } from "node:events";
import { constants } from "node:http2";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import type { Call } from "../../core/call.ts";
import { AppError, type ErrorCode } from "../../core/errors.ts";
import { createBodyBudget } from "../body-budget.ts";
import { type EchoHandlers, type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { say } from "./testing/promises.ts";
import { answerOf, connectRaw, frame, type RawClient } from "./testing/raw-client.ts";

const SAY = "/tarl.v1.EchoService/Say";
const CHAT = "/tarl.v1.EchoService/Chat";
const WATCH = "/grpc.health.v1.Health/Watch";
const CHECK = "/grpc.health.v1.Health/Check";
const REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const GOOD = "Bearer good";
const EMPTY = frame(Buffer.alloc(0));

let server: EchoServer | undefined;
const clients: RawClient[] = [];
const refused: ErrorCode[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server?.stop();
  refused.length = 0;
});

const unauthenticated = () => new AppError("UNAUTHENTICATED", "CREDENTIALS_INVALID", "It opens nothing.");

/** As the interceptors do, refuses whoever has no credential. */
async function checked(call: Call): Promise<void> {
  if (call.incoming.authorization !== GOOD) throw unauthenticated();
}

async function start(handlers: EchoHandlers = {}, options: Parameters<typeof startEchoServer>[1] = {}) {
  server = await startEchoServer(
    {
      async say(input, call) {
        await checked(call);
        return { text: input.text };
      },
      async *count(input, call) {
        await checked(call);
        yield { index: input.upTo, padding: "" };
      },
      async *chat(inputs, call) {
        await checked(call);
        for await (const { text } of inputs) yield { text };
      },
      ...handlers,
    },
    {
      admit(authorization) {
        if (authorization === GOOD) return undefined;
        if (authorization === "Bearer slow") return Promise.reject(unauthenticated());
        throw unauthenticated();
      },
      onRefused: (code) => refused.push(code),
      ...options,
    },
  );
  return server;
}

async function raw(): Promise<RawClient> {
  const client = await connectRaw(server!.transport.address);
  clients.push(client);
  return client;
}

test.each([undefined, "Bearer bad", "Bearer slow", "Bearer good\u00e9"])(
  "a call with the credential %s is refused by its headers, whatever else it would send",
  async (authorization) => {
    await start();
    const client = await raw();
    for (const path of [SAY, CHAT, "/tarl.v1.EchoService/Count"]) {
      const stream = client.open(path, authorization === undefined ? {} : { authorization });
      expect(await answerOf(stream)).toMatchObject({
        status: status.UNAUTHENTICATED,
        reason: "CREDENTIALS_INVALID",
        rstCode: 0,
      });
    }
  },
);

test("a call whose credential must be looked up goes on once it is known to be good", async () => {
  const looked = Promise.withResolvers<void>();
  const { client } = await start({ say: ({ text }) => ({ text }) }, { admit: () => looked.promise });
  const answer = say(client(), { text: "hi" });
  looked.resolve();
  expect((await answer).response).toMatchObject({ text: "hi" });
});

test("a client that breaks off while its credential is looked up is not called for", async () => {
  const looked = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let isSaid = false;
  await start(
    {
      say() {
        isSaid = true;
        return {};
      },
    },
    {
      admit() {
        asked.resolve();
        return looked.promise;
      },
    },
  );
  const client = await raw();
  const stream = client.open(SAY);
  stream.end(EMPTY);
  await asked.promise;
  stream.close(constants.NGHTTP2_CANCEL);
  await once(stream, "close");
  await answerOf(client.open(CHECK).end(EMPTY));
  looked.resolve();
  await answerOf(client.open(CHECK).end(EMPTY));
  expect(isSaid).toBe(false);
});

test("a body that does not come is not waited for", async () => {
  await start({}, { limits: { bodyTimeoutMs: 50 } });
  const client = await raw();
  const stream = client.open(SAY, { authorization: GOOD });
  stream.write(frame(Buffer.alloc(10), 1000));
  expect(await answerOf(stream)).toMatchObject({ status: status.DEADLINE_EXCEEDED, reason: "REQUEST_TOO_SLOW" });
  expect(refused).toEqual(["DEADLINE_EXCEEDED"]);
});

test("a message of a stream that has begun must end, and a stream between two may stay", async () => {
  await start({}, { limits: { bodyTimeoutMs: 50 } });
  const client = await raw();
  const stream = client.open(CHAT, { authorization: GOOD });
  const answer = answerOf(stream);
  stream.write(frame(Buffer.from("\n\x02hi")));
  await once(stream, "data");
  // One that stalls begins later than the quiet one, and ends.
  const stalled = client.open(CHAT, { authorization: GOOD });
  stalled.write(frame(Buffer.alloc(10), 1000));
  expect(await answerOf(stalled)).toMatchObject({ reason: "REQUEST_TOO_SLOW" });
  expect(stream.closed).toBe(false);
  stream.end();
  expect(await answer).toMatchObject({ status: status.OK });
});

test.each([
  ["connection", { limits: { maxConnectionBodyBytes: 50_000 } }],
  ["gateway", { bodies: createBodyBudget(50_000) }],
])("calls of one %s may hold only so many bytes that nobody reads yet", async (_, options) => {
  await start({}, options);
  const client = await raw();
  const streams = Array.from({ length: 10 }, () => client.open(SAY, { authorization: GOOD }));
  const answers = streams.map(answerOf);
  for (const stream of streams) stream.write(frame(Buffer.alloc(12_000), 20_000));
  expect(await Promise.race(answers)).toMatchObject({
    status: status.RESOURCE_EXHAUSTED,
    reason: "TOO_MANY_BODY_BYTES",
  });
  for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
  await Promise.all(answers);
  // What was held is given back, many times over.
  for (let sent = 0; sent < 20; sent++) {
    const text = Buffer.alloc(20_000, "x");
    const message = Buffer.concat([Buffer.from([0x0a, 0xa0, 0x9c, 0x01]), text]);
    expect(await answerOf(client.open(SAY, { authorization: GOOD }).end(frame(message)))).toMatchObject({ status: 0 });
  }
  const chat = client.open(CHAT, { authorization: GOOD });
  const chatted = answerOf(chat);
  for (let sent = 0; sent < 20; sent++) {
    chat.write(frame(Buffer.concat([Buffer.from([0x0a, 0xa0, 0x9c, 0x01]), Buffer.alloc(20_000, "x")])));
    await once(chat, "data");
  }
  chat.end();
  expect(await chatted).toMatchObject({ status: 0 });
});

test("calls that ask for no credential are few on a connection, and their messages small", async () => {
  await start({}, { limits: { maxOpenCalls: 3, maxOpenMessageBytes: 100 } });
  const client = await raw();
  const watches = Array.from({ length: 3 }, () => client.open(WATCH));
  await Promise.all(watches.map((watch) => once(watch.end(EMPTY), "data")));
  expect(await answerOf(client.open(WATCH))).toMatchObject({
    status: status.RESOURCE_EXHAUSTED,
    reason: "TOO_MANY_STREAMS",
  });
  // Others are not concerned, and an ended one makes room.
  expect(await answerOf(client.open(SAY, { authorization: GOOD }).end(EMPTY))).toMatchObject({ status: 0 });
  watches[0]!.close(constants.NGHTTP2_CANCEL);
  await once(watches[0]!, "close");
  const large = client.open(REFLECT);
  large.write(frame(Buffer.alloc(101)));
  expect(await answerOf(large)).toMatchObject({ status: status.RESOURCE_EXHAUSTED, reason: "BODY_TOO_LARGE" });
  const bomb = gzipSync(Buffer.alloc(10_000));
  const packed = frame(bomb);
  packed[0] = 1;
  expect(await answerOf(client.open(CHECK, { "grpc-encoding": "gzip" }).end(packed))).toMatchObject({
    status: status.RESOURCE_EXHAUSTED,
    reason: "BODY_TOO_LARGE",
  });
});

test("an answered call gives its place back, also where the client does not end its side", async () => {
  await start(
    {
      async *chat() {
        yield { text: "enough" };
      },
    },
    { limits: { maxConcurrentStreams: 4 } },
  );
  const client = await raw();
  for (let round = 0; round < 5; round++) {
    const streams = Array.from({ length: 4 }, (_, index) =>
      index % 2 ? client.open(CHAT, { authorization: GOOD }) : client.open("/tarl.v1.EchoService/Nothing"),
    );
    const answers = streams.map(answerOf);
    for (const stream of streams) stream.write(EMPTY);
    for (const { rstCode } of await Promise.all(answers)) expect(rstCode).toBe(constants.NGHTTP2_NO_ERROR);
  }
});

test("a stream's first message that cannot be read is counted as a refusal", async () => {
  await start();
  const client = await raw();
  const stream = client.open(CHAT, { authorization: GOOD });
  stream.write(frame(Buffer.from("ff", "hex")));
  expect(await answerOf(stream)).toMatchObject({ status: status.INVALID_ARGUMENT, reason: "MALFORMED_MESSAGE" });
  expect(refused).toEqual(["INVALID_ARGUMENT"]);
});

test.each(["3000000S", "99999999S", "99999999M", "99999999H"])(
  "a deadline of %s is far away, not past",
  async (timeout) => {
    const remaining = Promise.withResolvers<number | undefined>();
    await start({
      say(_, call) {
        remaining.resolve(call.incoming.timeoutMs);
        return { text: "in time" };
      },
    });
    const client = await raw();
    const headers = { authorization: GOOD, "grpc-timeout": timeout };
    expect(await answerOf(client.open(SAY, headers).end(EMPTY))).toMatchObject({ status: 0 });
    expect(await remaining.promise).toBeGreaterThan(20 * 24 * 3_600_000);
  },
);

test.each([
  ["idempotency-key", "\u00ff"],
  ["idempotency-key", "x".repeat(256)],
  ["grpc-timeout", "soon"],
  ["grpc-timeout", "123456789S"],
])("a header %s that cannot be honoured is refused", async (name, value) => {
  await start();
  const client = await raw();
  const answer = await answerOf(client.open(SAY, { authorization: GOOD, [name]: value }).end(EMPTY));
  expect(answer).toMatchObject({ status: status.INVALID_ARGUMENT, reason: "INVALID_ARGUMENT" });
  expect(String(answer.headers["grpc-message"])).toContain(name);
  expect(refused).toEqual(["INVALID_ARGUMENT"]);
});

test("nothing that grpc-js says of a call's metadata is written anywhere", async () => {
  const written: string[] = [];
  const write = console.error;
  console.error = (...values: unknown[]) => void written.push(values.join(" "));
  try {
    const { logged } = await start();
    const client = await raw();
    const secret = { authorization: "Bearer SECRET\u00e9", "x-other": "SECRET\u00e9" };
    await answerOf(client.open(CHECK, secret).end(EMPTY));
    expect(JSON.stringify([written, logged])).not.toContain("SECRET");
    expect(logged).toContainEqual({ fields: {}, message: "grpc-js: Failed to add metadata entry authorization" });
  } finally {
    console.error = write;
  }
});
