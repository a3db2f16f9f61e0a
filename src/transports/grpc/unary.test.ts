import { Metadata, status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import type { Call } from "../../core/call.ts";
import { AppError, invalidArgument } from "../../core/errors.ts";
import { type EchoHandlers, type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { say } from "./testing/promises.ts";
import { richStatus } from "./testing/rich-status.ts";

let server: EchoServer | undefined;
afterEach(() => server?.stop());

async function start(handlers: EchoHandlers, options?: Parameters<typeof startEchoServer>[1]) {
  server = await startEchoServer(handlers, options);
  return server;
}

test("answers with the plain values of the operation and the headers of the call", async () => {
  const { client } = await start({
    say({ text, payload }, call) {
      call.requestId = "request-1";
      call.rateLimit = { limit: 100, windowSeconds: 60, remaining: 7, resetSeconds: 30 };
      return { text: text.toUpperCase(), saidAt: "2027-01-31T09:30:00.250Z", payload };
    },
  });
  const { response, headers } = await say(client(), { text: "hi", payload: { numberValue: 1.5 } });
  expect(response).toMatchObject({ text: "HI", saidAt: { nanos: 250_000_000 }, payload: { numberValue: 1.5 } });
  expect(headers?.getMap()).toMatchObject({
    "x-request-id": "request-1",
    "ratelimit-policy": '"namespace";q=100;w=60',
    ratelimit: '"namespace";r=7;t=30',
  });
});

test("hands on what the metadata says", async () => {
  let seen: Call | undefined;
  const { client } = await start({
    say({ text }, call) {
      seen = call;
      return { text };
    },
  });
  const metadata = new Metadata();
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  metadata.set("authorization", "Bearer tarl_x");
  metadata.set("idempotency-key", "once");
  metadata.set("x-request-id", "mine");
  metadata.set("traceparent", traceparent);
  metadata.set("tracestate", "a=b");
  await say(client(), { text: "hi" }, metadata, { deadline: Date.now() + 60_000 });
  expect(seen?.incoming).toMatchObject({
    protocol: "grpc",
    authorization: "Bearer tarl_x",
    idempotencyKey: "once",
    requestId: "mine",
    traceparent,
    tracestate: "a=b",
  });
  expect(seen?.incoming.peer).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(seen?.incoming.timeoutMs).toBeGreaterThan(50_000);
  expect(seen?.incoming.timeoutMs).toBeLessThanOrEqual(60_000);
  expect(seen?.abortReason).toBeUndefined();
});

test("an AppError arrives with its reason and all its details", async () => {
  const { client } = await start({
    say({ text }, call) {
      call.requestId = "request-2";
      if (text === "fields") throw invalidArgument([{ field: "tasks[3].runAt", message: "is too late" }]);
      throw new AppError("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "Slow down.", {
        retryAfterMs: 1500,
        details: {
          quota: { subject: "namespaces/default", description: "100 a minute" },
          metadata: { queue: "emails" },
        },
      });
    },
  });
  const channel = client();
  const invalid = (await say(channel, { text: "fields" })).error!;
  expect(invalid).toMatchObject({ code: status.INVALID_ARGUMENT, details: "tasks[3].runAt: is too late" });
  expect(invalid.metadata.get("x-request-id")).toEqual(["request-2"]);
  expect(richStatus(invalid)).toEqual({
    ErrorInfo: { reason: "INVALID_ARGUMENT", domain: "tarl.dev" },
    BadRequest: { field_violations: [{ field: "tasks[3].runAt", description: "is too late" }] },
  });

  const exhausted = (await say(channel, { text: "quota" })).error!;
  expect(exhausted).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: "Slow down." });
  expect(richStatus(exhausted)).toEqual({
    ErrorInfo: { reason: "QUOTA_EXCEEDED", domain: "tarl.dev", metadata: { queue: "emails" } },
    RetryInfo: { retry_delay: { seconds: 1, nanos: 500_000_000 } },
    QuotaFailure: { violations: [{ subject: "namespaces/default", description: "100 a minute" }] },
  });
});

test("thousands of violations and a message that cannot be encoded still fit into the trailers", async () => {
  const fields = Array.from({ length: 5000 }, (_, index) => ({ field: `labels[${index}]`, message: "日本 \ud800" }));
  const { client } = await start({
    say() {
      throw invalidArgument(fields);
    },
  });
  const { error } = await say(client(), { text: "hi" });
  expect(error?.code).toBe(status.INVALID_ARGUMENT);
  const { field_violations } = richStatus(error!).BadRequest as { field_violations: { description: string }[] };
  expect(field_violations.at(-1)?.description).toBe(`and ${5000 - (field_violations.length - 1)} more`);
  const [bytes] = error!.metadata.get("grpc-status-details-bin");
  expect(bytes!.length * (4 / 3) + encodeURI(error!.details).length).toBeLessThan(8192);
});

test("what is not an AppError becomes a fixed text, and its own is only logged", async () => {
  const { client, logged } = await start({
    say() {
      throw new Error("SELECT secret FROM keys");
    },
  });
  const { error } = await say(client(), { text: "hi" });
  expect(error?.code).toBe(status.INTERNAL);
  expect(JSON.stringify([error?.details, richStatus(error!)])).not.toContain("secret");
  expect(String(logged[0]?.fields.err)).toContain("SELECT secret");
});

test("cancelling reaches the signal of the call", async () => {
  const aborted = Promise.withResolvers<AppError>();
  const running = Promise.withResolvers<void>();
  const { client } = await start({
    say(_, call) {
      call.signal.addEventListener("abort", () => aborted.resolve(call.signal.reason));
      running.resolve();
      return new Promise(() => {});
    },
  });
  const request = client().Say({ text: "hi" }, () => {});
  await running.promise;
  request.cancel();
  expect(await aborted.promise).toMatchObject({ code: "CANCELLED", reason: "CLIENT_CLOSED" });
});

test("a deadline that passes reaches the signal and the client", async () => {
  const aborted = Promise.withResolvers<AppError>();
  const { client } = await start({
    say(_, call) {
      call.signal.addEventListener("abort", () => aborted.resolve(call.signal.reason));
      return new Promise(() => {});
    },
  });
  const { error } = await say(client(), { text: "hi" }, new Metadata(), { deadline: Date.now() + 50 });
  expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
  // The client's clock and the server's fire apart; either way the operation is told to stop.
  expect(["DEADLINE_EXCEEDED", "CANCELLED"]).toContain((await aborted.promise).code);
});

test("garbage is refused as such, and the server lives on", async () => {
  const { client } = await start({ say: ({ text }) => ({ text }) });
  const channel = client();
  const garbage = await new Promise<{ code: number; metadata: Metadata }>((resolve) => {
    channel.makeUnaryRequest(
      "/tarl.v1.EchoService/Say",
      () => Buffer.from("ffffffffffffff", "hex"),
      (bytes) => bytes,
      {},
      (error) => resolve(error!),
    );
  });
  expect(garbage.code).toBe(status.INVALID_ARGUMENT);
  expect(richStatus(garbage).ErrorInfo?.reason).toBe("MALFORMED_MESSAGE");
  expect((await say(channel, { text: "still here" })).response).toMatchObject({ text: "still here" });
});

test("messages over the limits are RESOURCE_EXHAUSTED in both directions", async () => {
  const { client } = await start(
    { say: ({ text }) => ({ text: text.repeat(100) }) },
    { limits: { maxReceiveBytes: 1024, maxSendBytes: 2048 } },
  );
  const channel = client();
  expect((await say(channel, { text: "x".repeat(2000) })).error?.code).toBe(status.RESOURCE_EXHAUSTED);
  const { error } = await say(channel, { text: "x".repeat(100) });
  expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(richStatus(error!).ErrorInfo?.reason).toBe("ANSWER_TOO_LARGE");
  expect((await say(channel, { text: "x" })).error).toBeNull();
});

test("more metadata than allowed is refused", async () => {
  let calls = 0;
  const { client } = await start(
    {
      say({ text }) {
        calls += 1;
        return { text };
      },
    },
    { limits: { maxMetadataBytes: 4096 } },
  );
  const metadata = new Metadata();
  metadata.set("x-padding", "x".repeat(5000));
  const channel = client();
  expect((await say(channel, { text: "hi" }, metadata)).error).not.toBeNull();
  expect(calls).toBe(0);
  expect((await say(channel, { text: "hi" })).error).toBeNull();
});

test("a method that does not exist is UNIMPLEMENTED", async () => {
  const { client } = await start({});
  const error = await new Promise<{ code: number }>((resolve) => {
    const bytes = (value: Buffer) => value;
    client().makeUnaryRequest("/tarl.v1.EchoService/Shout", bytes, bytes, Buffer.alloc(0), (failure) =>
      resolve(failure!),
    );
  });
  expect(error.code).toBe(status.UNIMPLEMENTED);
});
