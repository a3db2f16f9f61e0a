import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { afterEach, expect, test } from "vitest";
import { type EchoServer, startEchoServer } from "./testing/echo-server.ts";

let server: EchoServer | undefined;
let session: ClientHttp2Session | undefined;
afterEach(async () => {
  session?.destroy();
  await server?.stop();
});

async function open(options: Parameters<typeof startEchoServer>[1]): Promise<ClientHttp2Session> {
  server = await startEchoServer({}, options);
  session = connect(`http://${server.transport.address}`);
  return session;
}

test("tells clients how many calls and how much metadata a connection may have", async () => {
  const [settings] = await once(
    await open({ limits: { maxConcurrentStreams: 17, maxMetadataBytes: 9000 } }),
    "remoteSettings",
  );
  expect(settings).toMatchObject({ maxConcurrentStreams: 17, maxHeaderListSize: 9000 });
});

test("asks a silent connection for a sign of life", async () => {
  const [payload] = await once(await open({ keepalive: { timeMs: 50, timeoutMs: 1000 } }), "ping");
  expect(payload).toHaveLength(8);
});

test("closes a connection that has reached its age, so that the client finds new replicas", async () => {
  const keepalive = { timeMs: 60_000, timeoutMs: 1000, maxConnectionAgeMs: 50, maxConnectionAgeGraceMs: 1000 };
  const [code, , reason] = await once(await open({ keepalive }), "goaway");
  expect(code).toBe(0);
  expect(String(reason)).toBe("max_age");
});
