import { once } from "node:events";
import { createConnection } from "node:net";
import { type Client, credentials, loadPackageDefinition, type ServiceClientConstructor, status } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { protoPath } from "grpc-health-check";
import { afterEach, expect, test } from "vitest";
import { createGrpcCodec } from "../../contract/grpc-codec.ts";
import type { AppError } from "../../core/errors.ts";
import { sayOperation } from "./testing/echo-operations.ts";
import { type EchoHandlers, type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { collect, nextEvent, say } from "./testing/promises.ts";
import { richStatus } from "./testing/rich-status.ts";

let server: EchoServer | undefined;
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server?.stop();
});

async function start(handlers: EchoHandlers, options?: Parameters<typeof startEchoServer>[1]) {
  server = await startEchoServer(handlers, options);
  return server;
}

// biome-ignore lint/suspicious/noExplicitAny: the methods of a client made at run time.
function healthClient(address: string): any {
  const loaded = loadPackageDefinition(loadSync(protoPath, { enums: String, defaults: true })) as unknown as {
    grpc: { health: { v1: { Health: ServiceClientConstructor } } };
  };
  const client = new loaded.grpc.health.v1.Health(address, credentials.createInsecure());
  clients.push(client);
  return client;
}

function check(address: string, service: string): Promise<{ code?: number; status?: string }> {
  const client = healthClient(address);
  return new Promise((resolve) => {
    client.Check({ service }, (error: { code: number } | null, response: { status: string }) =>
      resolve(error ?? response),
    );
  });
}

async function* forever(_: unknown, call: { signal: AbortSignal }) {
  yield { index: 0, padding: "" };
  await once(call.signal, "abort");
}

test("health knows the server and each service, and follows what it is told", async () => {
  const { transport } = await start({});
  expect(await check(transport.address, "")).toMatchObject({ status: "SERVING" });
  expect(await check(transport.address, "tarl.v1.EchoService")).toMatchObject({ status: "SERVING" });
  expect(await check(transport.address, "tarl.v1.Nothing")).toMatchObject({ code: status.NOT_FOUND });
  transport.setServing(false);
  expect(await check(transport.address, "")).toMatchObject({ status: "NOT_SERVING" });
});

test("stopping tells health, ends streams so that they resume elsewhere, and lets unary calls finish", async () => {
  const answer = Promise.withResolvers<object>();
  const running = Promise.withResolvers<void>();
  const { client, transport } = await start({
    say() {
      running.resolve();
      return answer.promise;
    },
    count: forever,
    async *chat(inputs) {
      for await (const { text } of inputs) yield { text };
    },
  });
  const channel = client();
  const health = collect(healthClient(transport.address).Watch({ service: "" }));
  const stream = channel.Count({ upTo: 1 });
  const streamed = collect(stream);
  const session = channel.Chat();
  const chatted = collect(session);
  session.write({ text: "hi" });
  await Promise.all([nextEvent(stream, "data"), nextEvent(session, "data")]);
  const unary = say(channel, { text: "hi" });
  await running.promise;

  const stopped = transport.stop(10_000);
  const seen = await health;
  expect(seen.messages.map((message) => message.status)).toEqual(["SERVING", "NOT_SERVING"]);
  expect(seen.status.code).toBe(status.UNAVAILABLE);
  for (const { status: end } of await Promise.all([streamed, chatted])) {
    expect(end.code).toBe(status.UNAVAILABLE);
    expect(richStatus(end).ErrorInfo?.reason).toBe("GATEWAY_DRAINING");
  }
  answer.resolve({ text: "late but there" });
  expect((await unary).response).toMatchObject({ text: "late but there" });
  await stopped;

  const [host, port] = transport.address.split(":");
  const [refused] = await once(createConnection(Number(port), host), "error").catch((error) => [error]);
  expect(refused).toMatchObject({ code: "ECONNREFUSED" });
});

test("what is still under way at the deadline is aborted, and a second stop changes nothing", async () => {
  const running = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<AppError>();
  const { client, transport } = await start({
    say(_, call) {
      call.signal.addEventListener("abort", () => aborted.resolve(call.signal.reason));
      running.resolve();
      return new Promise(() => {});
    },
  });
  const unary = say(client(), { text: "hi" });
  await running.promise;
  const stops = [transport.stop(200), transport.stop(200)];
  const { error } = await unary;
  expect(error?.code).toBe(status.UNAVAILABLE);
  expect(richStatus(error!)).toMatchObject({
    ErrorInfo: { reason: "GATEWAY_DRAINING" },
    RetryInfo: { retry_delay: { seconds: 1 } },
  });
  expect(await aborted.promise).toMatchObject({ reason: "GATEWAY_DRAINING" });
  await Promise.all(stops);
  await transport.stop(200);
});

test("a client that neither calls nor closes does not hold up the stop", async () => {
  const { transport } = await start({});
  const [host, port] = transport.address.split(":");
  const socket = createConnection(Number(port), host);
  await once(socket, "connect");
  const closed = once(socket, "close");
  // The preface and empty settings of HTTP/2, and then silence.
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0", "latin1");
  await once(socket, "data");
  socket.resume();
  await transport.stop(300);
  await closed;
});

test("an operation that the protos do not hold stops the start with a way out", async () => {
  const shout = { ...sayOperation, grpc: "EchoService/Shout" };
  const failed = startEchoServer({}, { operations: [shout], codec: createGrpcCodec([shout]) });
  await expect(failed).rejects.toThrow(/EchoService\/Shout.*npm run contract/);
});
