import { type Metadata, status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { AppError } from "../../core/errors.ts";
import { type EchoHandlers, type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { collect, nextEvent } from "./testing/promises.ts";
import { richStatus } from "./testing/rich-status.ts";

let server: EchoServer | undefined;
afterEach(() => server?.stop());

async function start(handlers: EchoHandlers, options?: Parameters<typeof startEchoServer>[1]) {
  server = await startEchoServer(handlers, options);
  return server;
}

/** Fires when the call is aborted, as services wait for it. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}

test("sends every message, then OK", async () => {
  const { client } = await start({
    async *count({ upTo }) {
      for (let index = 0; index < upTo; index++) yield { index, padding: "" };
    },
  });
  const { status: end, messages } = await collect(client().Count({ upTo: 1000 }));
  expect(end.code).toBe(status.OK);
  expect(messages.map(({ index }) => index)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
});

test("an error after some messages ends the stream with its details", async () => {
  const { client } = await start({
    async *count() {
      yield { index: 0, padding: "" };
      throw new AppError("NOT_FOUND", "TASK_NOT_FOUND", "It has gone.");
    },
  });
  const { status: end, messages } = await collect(client().Count({ upTo: 1 }));
  expect(messages).toHaveLength(1);
  expect(end).toMatchObject({ code: status.NOT_FOUND, details: "It has gone." });
  expect(richStatus(end).ErrorInfo?.reason).toBe("TASK_NOT_FOUND");
});

test("a quiet stream sends its headers, so that clients know it is open", async () => {
  const { client } = await start({
    async *count(_, call) {
      call.requestId = "request-3";
      yield await aborted(call.signal);
    },
  });
  const stream = client().Count({ upTo: 1 });
  const ended = collect(stream);
  const headers = await nextEvent<Metadata>(stream, "metadata");
  expect(headers.get("x-request-id")).toEqual(["request-3"]);
  stream.cancel();
  expect((await ended).status.code).toBe(status.CANCELLED);
});

test("cancelling ends the operation", async () => {
  const finished = Promise.withResolvers<AppError | undefined>();
  const { client } = await start({
    async *count(_, call) {
      try {
        for (let index = 0; ; index++) {
          yield { index, padding: "" };
          if (index > 0) await aborted(call.signal);
        }
      } finally {
        finished.resolve(call.abortReason);
      }
    },
  });
  const stream = client().Count({ upTo: 1 });
  stream.on("error", () => {});
  await nextEvent(stream, "data");
  stream.cancel();
  expect(await finished.promise).toMatchObject({ code: "CANCELLED", reason: "CLIENT_CLOSED" });
});

test("a slow reader holds the operation back", async () => {
  const upTo = 400;
  let produced = 0;
  const { client } = await start(
    {
      async *count() {
        for (; produced < upTo; produced++) yield { index: produced, padding: "x".repeat(16 * 1024) };
      },
    },
    { limits: { maxBufferedBytes: 64 * 1024 } },
  );
  let received = 0;
  let furthestAhead = 0;
  for await (const { index } of client().Count({ upTo })) {
    expect(index).toBe(received);
    received += 1;
    furthestAhead = Math.max(furthestAhead, produced - received);
    await new Promise(setImmediate);
  }
  expect(received).toBe(upTo);
  // What both ends buffer comes to some 50 of these messages.
  expect(furthestAhead).toBeLessThan(100);
});

test("a reader that stopped is ended after the bound, and holds no more than the buffer", async () => {
  const finished = Promise.withResolvers<AppError | undefined>();
  let produced = 0;
  const { client, logged } = await start(
    {
      async *count(_, call) {
        try {
          for (; ; produced++) yield { index: produced, padding: "x".repeat(16 * 1024) };
        } finally {
          finished.resolve(call.abortReason);
        }
      },
    },
    { limits: { maxBufferedBytes: 64 * 1024, slowConsumerMs: 200 } },
  );
  const stream = client().Count({ upTo: 1 });
  const failed = nextEvent<{ code: number }>(stream, "error");
  stream.once("data", () => stream.pause());
  expect(await finished.promise).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "SLOW_CONSUMER" });
  expect(produced).toBeLessThan(100);
  expect(logged.map(({ message }) => message)).toEqual(["A gRPC client did not read its stream."]);
  stream.resume();
  expect((await failed).code).toBe(status.RESOURCE_EXHAUSTED);
});

test("an answer over the limit ends the stream with a reason", async () => {
  const { client } = await start(
    {
      async *count() {
        yield { index: 0, padding: "x".repeat(5000) };
      },
    },
    { limits: { maxSendBytes: 4096 } },
  );
  const { status: end } = await collect(client().Count({ upTo: 1 }));
  expect(end.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(richStatus(end).ErrorInfo?.reason).toBe("ANSWER_TOO_LARGE");
});
