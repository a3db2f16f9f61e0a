import { status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import type { AppError } from "../../core/errors.ts";
import { type EchoHandlers, type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { collect, nextEvent } from "./testing/promises.ts";
import { richStatus } from "./testing/rich-status.ts";

let server: EchoServer | undefined;
afterEach(() => server?.stop());

async function start(handlers: EchoHandlers, options?: Parameters<typeof startEchoServer>[1]) {
  server = await startEchoServer(handlers, options);
  return server;
}

async function* echo(inputs: AsyncIterable<{ text: string }>) {
  for await (const { text } of inputs) yield { text: `re: ${text}` };
}

test("answers each message while the client goes on, and ends when it does", async () => {
  const { client } = await start({ chat: echo });
  const stream = client().Chat();
  const ended = collect(stream);
  stream.write({ text: "0" });
  expect(await nextEvent(stream, "data")).toMatchObject({ text: "re: 0" });
  for (let index = 1; index < 500; index++) stream.write({ text: `${index}` });
  stream.end();
  const { status: end, messages } = await ended;
  expect(end.code).toBe(status.OK);
  expect(messages.map(({ text }) => text)).toEqual(Array.from({ length: 500 }, (_, index) => `re: ${index}`));
});

test("an operation that stops reading still sends its answers and its end", async () => {
  const { client } = await start({
    async *chat(inputs) {
      for await (const { text } of inputs) {
        yield { text };
        break;
      }
      yield { text: "enough" };
    },
  });
  const stream = client().Chat();
  const ended = collect(stream);
  stream.write({ text: "one" });
  stream.write({ text: "two" });
  const { status: end, messages } = await ended;
  expect(end.code).toBe(status.OK);
  expect(messages.map(({ text }) => text)).toEqual(["one", "enough"]);
});

test("cancelling wakes an operation that waits for the next message", async () => {
  const finished = Promise.withResolvers<AppError | undefined>();
  const { client } = await start({
    async *chat(inputs, call) {
      try {
        yield* echo(inputs);
      } finally {
        finished.resolve(call.abortReason);
      }
    },
  });
  const stream = client().Chat();
  stream.on("error", () => {});
  stream.write({ text: "hi" });
  await nextEvent(stream, "data");
  stream.cancel();
  expect(await finished.promise).toMatchObject({ code: "CANCELLED", reason: "CLIENT_CLOSED" });
});

test("an operation that does not read makes the client wait", async () => {
  const release = Promise.withResolvers<void>();
  const { client } = await start({
    async *chat(inputs) {
      await release.promise;
      let count = 0;
      for await (const _ of inputs) count += 1;
      yield { text: `${count}` };
    },
  });
  const stream = client().Chat();
  const ended = collect(stream);
  const total = 200;
  let flushed = 0;
  const stalled = new Promise<void>((resolve) => {
    // Nothing flushed for this long means that flow control holds the client back.
    let timer = setTimeout(resolve, 300);
    for (let index = 0; index < total; index++) {
      stream.write({ text: "x".repeat(16 * 1024) }, () => {
        flushed += 1;
        clearTimeout(timer);
        timer = setTimeout(resolve, 300);
      });
    }
  });
  await stalled;
  expect(flushed).toBeLessThan(total / 2);
  stream.end();
  release.resolve();
  const { messages } = await ended;
  expect(messages).toMatchObject([{ text: `${total}` }]);
});

test("garbage within a stream ends it with a reason", async () => {
  const { client } = await start({ chat: echo });
  const bytes = (value: Buffer) => value;
  const stream = client().makeBidiStreamRequest("/tarl.v1.EchoService/Chat", bytes, bytes);
  const ended = collect(stream);
  stream.write(Buffer.from("ffffffffffffff", "hex"));
  const { status: end } = await ended;
  expect(end.code).toBe(status.INVALID_ARGUMENT);
  expect(richStatus(end).ErrorInfo?.reason).toBe("MALFORMED_MESSAGE");
});
