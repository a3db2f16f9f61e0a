import { type ServiceError, status } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import type { Call } from "../../core/call.ts";
import type { ErrorCode } from "../../core/errors.ts";
import { type EchoClient, type EchoHandlers, type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { richStatus } from "./testing/rich-status.ts";

let server: EchoServer | undefined;
const refused: ErrorCode[] = [];
afterEach(async () => {
  await server?.stop();
  refused.length = 0;
});

async function start(handlers: EchoHandlers): Promise<EchoClient> {
  server = await startEchoServer(handlers, {
    limits: { maxReceiveBytes: 1000 },
    onRefused: (code) => refused.push(code),
  });
  return server.client();
}

const reasonOf = (error: ServiceError) => richStatus(error).ErrorInfo?.reason;

function callPath(client: EchoClient, path: string): Promise<ServiceError> {
  const asIs = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(0), (error) => resolve(error!));
  });
}

test("a method that no service has is refused with a reason", async () => {
  const error = await callPath(await start({}), "/tarl.v1.EchoService/Nothing");
  expect(error.code).toBe(status.UNIMPLEMENTED);
  expect(reasonOf(error)).toBe("METHOD_NOT_FOUND");
  expect(refused).toEqual(["UNIMPLEMENTED"]);
});

test.each([
  ["as it is", 0],
  ["once it is unpacked", 2],
])("a message that is too large %s is refused with a reason", async (_, compression) => {
  await start({ say: ({ text }) => ({ text }) });
  const client = server!.client({ "grpc.default_compression_algorithm": compression });
  const error = await new Promise<ServiceError>((resolve) => client.Say({ text: "x".repeat(2000) }, resolve));
  expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
  expect(reasonOf(error)).toBe("BODY_TOO_LARGE");
  expect(error.details).toContain("1000 bytes");
  expect(refused).toEqual(["RESOURCE_EXHAUSTED"]);
});

test("a client that cancels while its call is answered loses what was granted", async () => {
  const entered = Promise.withResolvers<Call>();
  const undone = Promise.withResolvers<void>();
  const client = await start({
    async say(_, call) {
      entered.resolve(call);
      await new Promise<void>((resolve) => call.onAbort(() => resolve()));
      call.onUndelivered(() => undone.resolve());
      return { text: "granted" };
    },
  });
  const say = client.Say({ text: "hi" }, () => {});
  await entered.promise;
  say.cancel();
  await undone.promise;
});

test("a client that was answered keeps what was granted", async () => {
  let isUndone = false;
  const ended = Promise.withResolvers<Call>();
  const client = await start({
    say(_, call) {
      call.onUndelivered(() => {
        isUndone = true;
      });
      ended.resolve(call);
      return { text: "granted" };
    },
  });
  await new Promise((resolve) => client.Say({ text: "hi" }, resolve));
  const call = await ended.promise;
  call.undelivered();
  expect(isUndone).toBe(false);
});
