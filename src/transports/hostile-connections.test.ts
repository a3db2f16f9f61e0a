import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { createCertificate } from "../../test/support/certificates.ts";
import { eventually } from "../../test/support/eventually.ts";
import { AppError } from "../core/errors.ts";
import type { Component } from "../core/lifecycle.ts";
import type { Admit } from "./admit.ts";
import { createBodyBudget } from "./body-budget.ts";
import { startFixture as startGraphql } from "./graphql/fixture.ts";
import { startEchoServer } from "./grpc/testing/echo-server.ts";
import { startFixture as startRest } from "./rest/test-fixture.ts";

interface Door {
  readonly transport: Component;
  readonly port: number;
}

interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

const GOOD = "Bearer all";
const admit: Admit = (authorization) => {
  if (authorization !== GOOD) throw new AppError("UNAUTHENTICATED", "CREDENTIALS_INVALID", "It opens nothing.");
  return undefined;
};

let pair: Pair;
const running: Component[] = [];
beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "tarl-hostile-"));
  await createCertificate(folder, "gateway");
  const [cert, key] = await Promise.all(["crt", "key"].map((kind) => readFile(join(folder, `gateway.${kind}`))));
  pair = { cert: cert!, key: key! };
  await rm(folder, { recursive: true });
});
afterEach(async () => {
  for (const transport of running.splice(0)) await transport.stop(100);
});
afterAll(() => expect(running).toEqual([]));

type Start = (tls: Pair | undefined, handshakeTimeoutMs: number) => Promise<Door>;

const START: Record<"REST" | "GraphQL" | "gRPC", Start> = {
  async REST(tls, handshakeTimeoutMs) {
    const limits = { handshakeTimeoutMs, headersTimeoutMs: handshakeTimeoutMs };
    const { transport, port } = await startRest({ tls, limits });
    return { transport, port };
  },
  async GraphQL(tls, handshakeTimeoutMs) {
    const { transport } = await startGraphql({}, { tls, limits: { handshakeTimeoutMs } });
    return { transport, port: transport.address.port };
  },
  async gRPC(tls, handshakeTimeoutMs) {
    const { transport } = await startEchoServer({}, { tls, limits: { handshakeTimeoutMs } });
    return { transport, port: Number(transport.address.split(":")[1]) };
  },
};

async function start(name: keyof typeof START, tls: Pair | undefined, handshakeTimeoutMs = 60_000): Promise<Door> {
  const door = await START[name](tls, handshakeTimeoutMs);
  running.push(door.transport);
  return door;
}

/** Resolves once the socket is connected; `closed` once it is not any more. */
async function open(port: number, bytes: string): Promise<{ socket: Socket; closed: Promise<void> }> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {}).resume();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await new Promise((resolve) => socket.once("connect", resolve));
  if (bytes !== "") socket.write(Buffer.from(bytes, "hex"));
  return { socket, closed };
}

const HALF_CLIENT_HELLO = "1603010200010001fc0303";
const NAMES = ["REST", "GraphQL", "gRPC"] as const;
const SILENCES = [
  ["nothing", ""],
  ["half a TLS hello", HALF_CLIENT_HELLO],
] as const;

describe.each(NAMES)("the %s port", (name) => {
  test.each(SILENCES)("closes a TLS connection that says %s", async (_, bytes) => {
    const { port } = await start(name, pair, 150);
    await (await open(port, bytes)).closed;
  });

  test.each(SILENCES)("is not kept from stopping by a TLS connection that says %s", async (_, bytes) => {
    const { port, transport } = await start(name, pair);
    const { closed } = await open(port, bytes);
    const startedAt = performance.now();
    await transport.stop(20_000);
    await closed;
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test("is not kept from stopping by a client that is silent after its handshake", async () => {
    const { port, transport } = await start(name, pair);
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      ALPNProtocols: ["h2", "http/1.1"],
    });
    socket.on("error", () => {}).resume();
    await new Promise((resolve) => socket.once("secureConnect", resolve));
    const startedAt = performance.now();
    await transport.stop(20_000);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test("is not kept from stopping by a plain connection that says nothing", async () => {
    const { port, transport } = await start(name, undefined);
    const { closed } = await open(port, "");
    const startedAt = performance.now();
    await transport.stop(20_000);
    await closed;
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });
});

const bodies = createBodyBudget(100_000);
const HTTP: Record<"REST" | "GraphQL", { start(): Promise<Door>; path: string; body: string }> = {
  REST: {
    async start() {
      const { transport, port } = await startRest({ admit, bodies });
      return { transport, port };
    },
    path: "/v1/namespaces/a/things",
    body: "{}",
  },
  GraphQL: {
    async start() {
      const { transport } = await startGraphql({}, { admit, bodies });
      return { transport, port: transport.address.port };
    },
    path: "/graphql",
    body: JSON.stringify({ query: "{ ping { ok } }" }),
  },
};

/** Sends a request of which `sentBytes` of the body come, and answers the status line. */
function post(port: number, path: string, authorization: string, bodyBytes: number, body: Buffer): Promise<string> {
  const head = [
    `POST ${path} HTTP/1.1`,
    "Host: x",
    "Content-Type: application/json",
    `Authorization: ${authorization}`,
    `Content-Length: ${bodyBytes}`,
  ];
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  socket.write(body);
  return new Promise((resolve) => {
    let answer = "";
    socket.on("data", (data) => {
      answer += data;
      socket.destroy();
    });
    socket.once("close", () => resolve(answer));
    setTimeout(() => socket.destroy(), 3_000).unref();
  });
}

describe.each(Object.entries(HTTP))("bodies over %s", (name, { start: startDoor, path, body }) => {
  test("are taken in only from those with a credential, unless they are small", async () => {
    const { transport, port } = await startDoor();
    running.push(transport);
    const none = Buffer.alloc(0);
    // The operations check nothing here.
    expect(await post(port, path, "Bearer bad", body.length, Buffer.from(body))).toMatch(/^HTTP\/1.1 200 /);
    if (name === "GraphQL") {
      expect(await post(port, path, "Bearer bad", 1_000_000, none)).toMatch(/^HTTP\/1.1 401 /);
    } else {
      expect(await post(port, path, "Bearer bad", 1_000_000, none)).toMatch(/^HTTP\/1.1 400 /);
    }
    const long = body + " ".repeat(20_000);
    expect(await post(port, path, GOOD, long.length, Buffer.from(long))).toMatch(/^HTTP\/1.1 200 /);
  });

  test("may not take more together than there is room for", async () => {
    const { transport, port } = await startDoor();
    running.push(transport);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post(port, path, GOOD, 50_000, Buffer.alloc(30_000, " "))),
    );
    const refused = answers.filter((answer) => answer !== "");
    expect(refused.length).toBeGreaterThanOrEqual(4);
    for (const answer of refused) {
      expect(answer).toMatch(/^HTTP\/1.1 429 /);
      expect(answer).toContain("TOO_MANY_BODY_BYTES");
    }
    // What they held is given back.
    await eventually("there is room again", () => bodies.take(100_000));
    bodies.giveBack(100_000);
  }, 20_000);
});

describe("messages over WebSocket", () => {
  async function openSocket(authorization?: string) {
    const { transport } = await startGraphql({}, { bodies });
    running.push(transport);
    const socket = new WebSocket(transport.address.url.replace("http", "ws"), "graphql-transport-ws");
    socket.on("error", () => {});
    const messages: string[] = [];
    socket.on("message", (data) => messages.push(String(data)));
    const closed = new Promise<number>((resolve) => socket.once("close", resolve));
    await new Promise((resolve) => socket.once("open", resolve));
    if (authorization) {
      socket.send(JSON.stringify({ type: "connection_init", payload: { authorization } }));
      await eventually("the socket is acknowledged", () => messages.length === 1);
    }
    return { socket, closed, messages };
  }
  const part = (bytes: number) => " ".repeat(bytes);

  test("are short until a credential is shown", async () => {
    const stranger = await openSocket();
    stranger.socket.send(part(20_000), { fin: false });
    expect([1006, 1009]).toContain(await stranger.closed);
    const known = await openSocket(GOOD);
    known.socket.send(part(20_000), { fin: false });
    known.socket.send(JSON.stringify({ type: "ping" }), { fin: true });
    await eventually("it is answered", () => known.messages.length === 2);
  });

  test("may not take more together than there is room for", async () => {
    const { socket, closed } = await openSocket(GOOD);
    for (let sent = 0; sent < 6; sent++) socket.send(part(20_000), { fin: false });
    expect([1006, 1013]).toContain(await closed);
    await eventually("there is room again", () => bodies.take(100_000));
    bodies.giveBack(100_000);
  });
});
