import { type EventEmitter, once } from "node:events";
import { constants } from "node:http2";
import { connect } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { answerOf, connectRaw, frame, type RawClient } from "./testing/raw-client.ts";

const SAY = "/tarl.v1.EchoService/Say";
const CHECK = "/grpc.health.v1.Health/Check";
const EMPTY = frame(Buffer.alloc(0));

let server: EchoServer | undefined;
const clients: RawClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  await server?.stop();
});

async function start(options: Parameters<typeof startEchoServer>[1] = {}): Promise<EchoServer> {
  server = await startEchoServer({ say: ({ text }) => ({ text }) }, options);
  return server;
}

async function raw(): Promise<RawClient> {
  const client = await connectRaw(server!.transport.address);
  clients.push(client);
  return client;
}

/** Resolves once it has closed, however that came. */
function closing(connection: EventEmitter): Promise<void> {
  return new Promise((resolve) => connection.on("error", () => {}).once("close", () => resolve()));
}

test.each(["", "PRI * HT"])("a connection that says only '%s' is closed", async (text) => {
  const { transport } = await start({ limits: { handshakeTimeoutMs: 100 } });
  const [host, port] = transport.address.split(":");
  const socket = connect(Number(port), host);
  socket.resume();
  if (text) socket.write(text);
  await closing(socket);
});

test("a client that spoke keeps its connection without a call", async () => {
  await start({ limits: { handshakeTimeoutMs: 100 } });
  const quiet = await raw();
  const [host, port] = server!.transport.address.split(":");
  const silent = connect(Number(port), host);
  silent.resume();
  await once(silent, "close");
  expect(quiet.session.closed).toBe(false);
  expect(await answerOf(quiet.open(CHECK).end(EMPTY))).toMatchObject({ status: 0 });
});

test("there are only so many connections", async () => {
  await start({ limits: { maxConnections: 2 } });
  await raw();
  await raw();
  const [host, port] = server!.transport.address.split(":");
  const third = connect(Number(port), host);
  third.resume();
  await closing(third);
});

test("a connection on which calls are reset without end is closed", async () => {
  await start();
  const client = await raw();
  const closed = closing(client.session);
  for (let sent = 0; !client.session.destroyed && sent < 20_000; sent++) {
    client.open(SAY, { authorization: "Bearer any" }).close(constants.NGHTTP2_CANCEL);
    if (sent % 20 === 0) await new Promise(setImmediate);
  }
  await closed;
});

test.each(["", "PRI * HT"])("a connection that says only '%s' does not hold up the stop", async (text) => {
  const { transport } = await start();
  const [host, port] = transport.address.split(":");
  const socket = connect(Number(port), host);
  socket.resume();
  await once(socket, "connect");
  const closed = closing(socket);
  if (text) socket.write(text);
  const startedAt = performance.now();
  await transport.stop(text ? 300 : 20_000);
  await closed;
  expect(performance.now() - startedAt).toBeLessThan(5_000);
});
