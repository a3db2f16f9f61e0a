import { connect, type Socket } from "node:net";
import { type Client, createClient } from "graphql-ws";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { Call } from "../../core/call.ts";
import { type Fixture, type FixtureServices, startFixture, until } from "./fixture.ts";
import type { GraphqlTransportOptions } from "./options.ts";

const PROTOCOL = "graphql-transport-ws";
const WATCH = 'subscription { watchDogs(namespace: "kennel") { cursor volume } }';

const running: Fixture[] = [];
const clients: Client[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.dispose();
  for (const fixture of running.splice(0)) await fixture.transport.stop(200);
});

async function start(services: Partial<FixtureServices> = {}, options: Partial<GraphqlTransportOptions> = {}) {
  const fixture = await startFixture(services, options);
  running.push(fixture);
  return fixture;
}

function wsUrl(fixture: Fixture): string {
  return fixture.url.replace("http", "ws");
}

/** A raw socket: what it got, and how it was closed. */
function open(fixture: Fixture, protocol: string | string[] = PROTOCOL, headers: Record<string, string> = {}) {
  const socket = new WebSocket(wsUrl(fixture), protocol, { headers });
  // biome-ignore lint/suspicious/noExplicitAny: tests look wherever they like.
  const messages: any[] = [];
  socket.on("message", (data) => messages.push(JSON.parse(String(data))));
  socket.on("error", () => {});
  return {
    socket,
    messages,
    opened: new Promise<void>((resolve) => socket.once("open", () => resolve())),
    closed: new Promise<number>((resolve) => socket.once("close", (code) => resolve(code))),
    say: (message: object) => socket.send(JSON.stringify(message)),
  };
}

async function openAcknowledged(fixture: Fixture, authorization = "Bearer all") {
  const peer = open(fixture);
  await peer.opened;
  peer.say({ type: "connection_init", payload: { authorization } });
  await until(() => peer.messages[0]?.type === "connection_ack", "the socket is acknowledged");
  return peer;
}

function client(fixture: Fixture, authorization = "Bearer all"): Client {
  const made = createClient({
    url: wsUrl(fixture),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
    retryAttempts: 0,
    lazy: true,
  });
  clients.push(made);
  return made;
}

/** Barks at once, then waits until its call ends. */
function barkThenWait(ended: string[], events = 2): FixtureServices["bark"] {
  return async function* (input, call: Call) {
    try {
      const first = Number(input.cursor ?? 0) + 1;
      for (let cursor = first; cursor < first + events; cursor++) yield { cursor: String(cursor), volume: "loud" };
      await new Promise((_resolve, reject) => call.onAbort(reject));
    } finally {
      ended.push(call.abortReason?.reason ?? "finished");
    }
  };
}

describe("the close codes of graphql-transport-ws", () => {
  it("4400 for what is no message", async () => {
    for (const junk of ["nonsense", '{"type":"unknown"}', '{"type":"next","id":"1","payload":{}}', "[]", "null"]) {
      const peer = open(await start());
      await peer.opened;
      peer.socket.send(junk);
      expect(await peer.closed, junk).toBe(4400);
    }
  });

  it("4400 for binary frames", async () => {
    const peer = open(await start());
    await peer.opened;
    peer.socket.send(Buffer.from([1, 2, 3]));
    expect(await peer.closed).toBe(4400);
  });

  it("4401 for an operation before the acknowledgement", async () => {
    const peer = open(await start());
    await peer.opened;
    peer.say({ type: "subscribe", id: "1", payload: { query: WATCH } });
    expect(await peer.closed).toBe(4401);
  });

  it("4403 for a key that is not valid, given either way", async () => {
    const fixture = await start();
    const inParams = open(fixture);
    await inParams.opened;
    inParams.say({ type: "connection_init", payload: { authorization: "Bearer nobody" } });
    expect(await inParams.closed).toBe(4403);

    const inHeader = open(fixture, PROTOCOL, { authorization: "Bearer nobody" });
    await inHeader.opened;
    inHeader.say({ type: "connection_init" });
    expect(await inHeader.closed).toBe(4403);
  });

  it("4406 for a socket without the protocol", async () => {
    const peer = open(await start(), []);
    expect(await peer.closed).toBe(4406);
  });

  it("4408 when nothing is said for too long", async () => {
    const peer = open(await start({}, { limits: { connectionInitTimeoutMs: 20 } }));
    expect(await peer.closed).toBe(4408);
  });

  it("4409 for an id that is in use", async () => {
    const peer = await openAcknowledged(await start({ bark: barkThenWait([]) }));
    peer.say({ type: "subscribe", id: "same", payload: { query: WATCH } });
    peer.say({ type: "subscribe", id: "same", payload: { query: WATCH } });
    expect(await peer.closed).toBe(4409);
  });

  it("4429 for a second initialisation", async () => {
    const peer = await openAcknowledged(await start());
    peer.say({ type: "connection_init" });
    expect(await peer.closed).toBe(4429);
  });

  it("1009 for a message over the limit", async () => {
    const peer = open(await start({}, { limits: { maxBodyBytes: 1_000 } }));
    await peer.opened;
    peer.socket.send("x".repeat(2_000));
    expect(await peer.closed).toBe(1009);
  });
});

describe("operations over WebSocket", () => {
  it("streams events, resumes from a cursor, and ends the call when the client has had enough", async () => {
    const ended: string[] = [];
    const fixture = await start({ bark: barkThenWait(ended) });
    const query = 'subscription ($cursor: String) { watchDogs(namespace: "kennel", cursor: $cursor) { cursor } }';
    const events = client(fixture).iterate({ query, variables: { cursor: "41" } });
    expect(await events.next()).toMatchObject({ value: { data: { watchDogs: { cursor: "42" } } } });
    expect(await events.next()).toMatchObject({ value: { data: { watchDogs: { cursor: "43" } } } });
    await events.return?.();
    await until(() => ended.length === 1, "the stream ends");
    expect(ended).toEqual(["CLIENT_CLOSED"]);
  });

  it("answers queries and mutations, too", async () => {
    const answers = client(await start()).iterate({ query: "{ ping { ok } }" });
    expect((await answers.next()).value).toEqual({ data: { ping: { ok: true } } });
    expect((await answers.next()).done).toBe(true);
  });

  it("says in an error message why a subscription was refused", async () => {
    const peer = open(await start());
    await peer.opened;
    peer.say({ type: "connection_init" });
    await until(() => peer.messages.length === 1, "the acknowledgement");
    peer.say({ type: "subscribe", id: "1", payload: { query: WATCH } });
    peer.say({ type: "subscribe", id: "2", payload: { query: "subscription { nothing }" } });
    await until(() => peer.messages.length === 3, "both answers");
    const byId = Object.fromEntries(peer.messages.slice(1).map((message) => [message.id, message]));
    expect(byId["1"]).toMatchObject({ type: "error", payload: [{ extensions: { code: "UNAUTHENTICATED" } }] });
    expect(byId["2"]).toMatchObject({
      type: "error",
      payload: [{ extensions: { code: "INVALID_ARGUMENT", reason: "GRAPHQL_VALIDATION_FAILED" } }],
    });
    expect(byId["1"].payload[0].extensions.requestId).toMatch(/.+/);
    peer.socket.terminate();
  });

  it("bounds the operations of one socket and frees their places", async () => {
    const fixture = await start({ bark: barkThenWait([], 1) }, { limits: { maxOperationsPerSocket: 2 } });
    const peer = await openAcknowledged(fixture);
    for (const id of ["a", "b", "c"]) peer.say({ type: "subscribe", id, payload: { query: WATCH } });
    await until(() => peer.messages.some(({ type }) => type === "error"), "the third is refused");
    expect(peer.messages.find(({ type }) => type === "error")).toMatchObject({
      id: "c",
      payload: [{ extensions: { code: "RESOURCE_EXHAUSTED", reason: "GRAPHQL_TOO_MANY_OPERATIONS" } }],
    });
    peer.say({ type: "complete", id: "a" });
    peer.say({ type: "subscribe", id: "d", payload: { query: "{ ping { ok } }" } });
    await until(() => peer.messages.some(({ id }) => id === "d"), "there is room again");
    expect(peer.messages.find(({ id }) => id === "d")).toMatchObject({
      type: "next",
      payload: { data: { ping: { ok: true } } },
    });
    peer.socket.terminate();
  });

  it("ends the calls of a socket that breaks off", async () => {
    const ended: string[] = [];
    const peer = await openAcknowledged(await start({ bark: barkThenWait(ended, 1) }));
    peer.say({ type: "subscribe", id: "1", payload: { query: WATCH } });
    await until(() => peer.messages.length === 2, "the first event");
    peer.socket.terminate();
    await until(() => ended.length === 1, "the stream ends");
    expect(ended).toEqual(["CLIENT_CLOSED"]);
  });

  it("reads a stream no faster than its client does, and ends a client that does not read", async () => {
    let made = 0;
    const ended: string[] = [];
    const fixture = await start(
      {
        bark: async function* (_input, call) {
          try {
            for (;;) yield { cursor: String(++made), volume: "x".repeat(100_000) };
          } finally {
            ended.push(call.abortReason?.reason ?? "finished");
          }
        },
      },
      { limits: { heartbeatMs: 50 } },
    );
    const peer = await openAcknowledged(fixture);
    // biome-ignore lint/suspicious/noExplicitAny: the raw socket below, to stop reading from it.
    ((peer.socket as any)._socket as Socket).pause();
    peer.say({ type: "subscribe", id: "1", payload: { query: WATCH } });
    await until(() => ended.length === 1, "the socket is ended");
    expect(ended).toEqual(["CLIENT_CLOSED"]);
    // What the kernel takes, and no more: far from what an unbounded loop makes in that time.
    expect(made).toBeLessThan(500);
    peer.socket.terminate();
  });

  it("refuses sockets beyond their number, and other paths", async () => {
    const fixture = await start({}, { limits: { maxSockets: 1 } });
    const first = open(fixture);
    await first.opened;
    const statusOf = (url: string) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, PROTOCOL);
        socket.on("error", () => {});
        socket.once("unexpected-response", (_request, response) => resolve(response.statusCode));
      });
    expect(await statusOf(wsUrl(fixture))).toBe(503);
    expect(await statusOf(wsUrl(fixture).replace("/graphql", "/other"))).toBe(404);
    first.socket.terminate();
  });
});

describe("a drain", () => {
  it("ends streams with an error that says where to go on, then closes with 1012", async () => {
    const ended: string[] = [];
    const fixture = await start({ bark: barkThenWait(ended, 1) });
    const peer = await openAcknowledged(fixture);
    peer.say({ type: "subscribe", id: "1", payload: { query: WATCH } });
    await until(() => peer.messages.length === 2, "the first event");
    const stopped = fixture.transport.stop(5_000);
    expect(await peer.closed).toBe(1012);
    expect(peer.messages.at(-1)).toMatchObject({
      id: "1",
      type: "error",
      payload: [{ extensions: { code: "UNAVAILABLE", reason: "GATEWAY_DRAINING" } }],
    });
    await stopped;
    expect(ended).toEqual(["GATEWAY_DRAINING"]);
    await fixture.transport.stop(5_000);
  });

  it("lets requests finish, and aborts them at the deadline", async () => {
    const reasons: string[] = [];
    let release: (() => void) | undefined;
    const fixture = await start({
      ping: (call) =>
        new Promise((resolve, reject) => {
          release = resolve;
          call.onAbort((reason) => {
            reasons.push(reason.reason);
            reject(reason);
          });
        }),
    });
    const finishing = fixture.post("{ ping { ok } }");
    await until(() => release !== undefined, "the call is under way");
    const stopped = fixture.transport.stop(5_000);
    release!();
    expect((await finishing).body).toEqual({ data: { ping: { ok: true } } });
    await stopped;

    const late = await start({ ping: (call) => new Promise((_resolve, reject) => call.onAbort(reject)) });
    const cut = late.post("{ ping { ok } }");
    await until(() => late.calls.length === 1, "the call is under way");
    await late.transport.stop(20);
    expect((await cut).body.errors[0].extensions.reason).toBe("GATEWAY_DRAINING");
  });
});

describe("server-sent events", () => {
  const listen = (fixture: Fixture, query: string, headers: Record<string, string> = {}) =>
    fetch(fixture.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "text/event-stream",
        authorization: "Bearer all",
        ...headers,
      },
      body: JSON.stringify({ query }),
    });

  it("sends events with their cursor, and says that it is complete", async () => {
    const fixture = await start({
      bark: async function* (input) {
        const first = Number(input.cursor ?? 0) + 1;
        yield { cursor: String(first), volume: "loud" };
        yield { cursor: String(first + 1), volume: "louder" };
      },
    });
    const text = await (await listen(fixture, WATCH)).text();
    expect(text).toBe(
      ':\n\nid: 1\nevent: next\ndata: {"data":{"watchDogs":{"cursor":"1","volume":"loud"}}}\n\n' +
        'id: 2\nevent: next\ndata: {"data":{"watchDogs":{"cursor":"2","volume":"louder"}}}\n\nevent: complete\ndata:\n\n',
    );
    expect(await (await listen(fixture, WATCH, { "last-event-id": "7" })).text()).toContain('"cursor":"8"');
  });

  it("is a must for subscriptions over HTTP, and serves queries as well", async () => {
    const fixture = await start();
    expect((await fixture.post(WATCH)).status).toBe(406);
    expect(await (await listen(fixture, "{ ping { ok } }")).text()).toContain('data: {"data":{"ping":{"ok":true}}}');
  });

  it("ends with the error that ended the stream, also when the gateway drains", async () => {
    const fixture = await start({ bark: barkThenWait([], 1) });
    const refused = await (await listen(fixture, WATCH, { authorization: "Bearer nobody" })).text();
    expect(refused).toContain('"code":"UNAUTHENTICATED"');
    expect(refused).toMatch(/event: complete\ndata:\n\n$/);
    const answer = await listen(fixture, WATCH);
    await until(() => fixture.calls.length === 2, "the stream is open");
    await fixture.transport.stop(5_000);
    expect(await answer.text()).toMatch(/"reason":"GATEWAY_DRAINING".*\n\nevent: complete\ndata:\n\n$/);
  });

  it("ends a client that does not read", async () => {
    const ended: string[] = [];
    const fixture = await start(
      {
        bark: async function* (_input, call) {
          try {
            for (let cursor = 1; ; cursor++) yield { cursor: String(cursor), volume: "x".repeat(100_000) };
          } finally {
            ended.push(call.abortReason?.reason ?? "finished");
          }
        },
      },
      { limits: { heartbeatMs: 50 } },
    );
    const body = JSON.stringify({ query: WATCH });
    const socket = connect(fixture.transport.address.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.pause();
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer all\r\nAccept: text/event-stream\r\n` +
        `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await until(() => ended.length === 1, "the stream is ended");
    expect(ended).toEqual(["CLIENT_CLOSED"]);
    socket.destroy();
  });
});
