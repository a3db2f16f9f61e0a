import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import type { AppError } from "../core/errors.ts";
import { bidi, operation, serverStream } from "../core/operation.ts";
import { message, namespaceField } from "../core/schema.ts";
import { createSystemService } from "../services/system/index.ts";
import { getInfo, whoAmI } from "../services/system/operations.ts";
import { listApiKeys } from "../services/tenancy/key-operations.ts";
import { createNamespace, deleteNamespace, getNamespace } from "../services/tenancy/namespace-operations.ts";
import { createDispatcherFixture, type DispatcherFixture } from "./test-fixture.ts";
import type { CallObserver } from "./trace.ts";

const InNamespace = message("InNamespace", "Where.", { namespace: namespaceField, text: z.string().max(5).optional() });
const Item = message("Item", "One.", {
  text: z.string(),
  secret: z.string().optional().meta({ visibleTo: "tasks.readPayload" }),
});
const routes = { rest: "POST /v1/namespaces/{namespace}/x", grpc: "XService/X", graphql: "mutation x" };
const routed = { ...routes, summary: "Does it.", permission: "tasks.read", input: InNamespace };

/** What the test operations do, set by each test. */
const handlers = {
  unary: (_signal: () => AbortSignal): unknown => ({ items: [] }),
  async *stream(_signal: AbortSignal): AsyncGenerator<{ text: string; secret?: string }> {},
};

const getItems = operation({
  ...routed,
  name: "x.get",
  output: message("Items", "Many.", { items: z.array(Item), byName: z.record(z.string(), Item).optional() }),
  handle: async (_services: object, _input, call) => (await handlers.unary(() => call.signal)) as { items: [] },
});
const watchItems = serverStream({
  ...routed,
  name: "x.watch",
  output: Item,
  handle: (_services: object, _input, call) => handlers.stream(call.signal),
});
const talk = bidi({
  name: "x.talk",
  summary: "Talks.",
  grpc: "XService/Talk",
  permission: "tasks.read",
  input: message("TalkRequest", "Said.", { namespace: namespaceField.optional(), text: z.string().max(5).optional() }),
  output: Item,
  async *handle(_services: object, inputs) {
    for await (const { text = "" } of inputs) yield { text };
  },
});

const ended: { name: string; code: string; requestId: string; traceId: string }[] = [];
const observer: CallObserver = {
  begin: ({ operation: { name }, call }) => ({
    run: (work) => work(),
    end: (error) =>
      void ended.push({ name, code: error?.code ?? "OK", requestId: call.requestId, traceId: call.traceId }),
  }),
};

let fixture: DispatcherFixture;
beforeAll(async () => {
  const info = { version: "1.0.0", protocols: ["rest"], stores: [{ name: "database", engine: "pglite" }] };
  fixture = await createDispatcherFixture({ system: createSystemService(info) }, [observer]);
});
afterAll(() => fixture.close());

async function failure(work: Promise<unknown>): Promise<AppError> {
  return work.then(
    () => {
      throw new Error("should have failed");
    },
    (thrown: AppError) => thrown,
  );
}

const collect = async (source: AsyncIterable<unknown>) => {
  const items: unknown[] = [];
  for await (const item of source) items.push(item);
  return items;
};

test("nobody gets in without a credential", async () => {
  const anonymous = fixture.call(undefined, { authorization: undefined });
  expect(await failure(fixture.unary(whoAmI, {}, anonymous))).toMatchObject({
    code: "UNAUTHENTICATED",
    reason: "CREDENTIALS_MISSING",
  });
});

test("a caller learns who it is and what it may do", async () => {
  const { secret, keyId } = await fixture.createKey("default", "viewer");
  expect(await fixture.unary(whoAmI, {}, fixture.call(secret))).toMatchObject({
    principalId: `key:${keyId}`,
    kind: "API_KEY",
    home: "default",
    grants: [{ scope: "default", permissions: expect.arrayContaining(["tasks.read"]) }],
  });
});

test("a namespace of others looks like one that is not there, and a missing permission like what it is", async () => {
  const hidden = await fixture.createNamespace("STRICT");
  const mine = await fixture.createNamespace();
  const { secret } = await fixture.createKey(mine, "viewer");
  const ask = (namespace: string) => failure(fixture.unary(getNamespace, { namespace }, fixture.call(secret)));
  const [there, absent] = [await ask(hidden), await ask("never-was")];
  expect(there).toMatchObject({ code: "NOT_FOUND", reason: "NAMESPACE_NOT_FOUND" });
  expect(there.message.replace(hidden, "?")).toBe(absent.message.replace("never-was", "?"));
  expect([absent.code, absent.reason]).toEqual([there.code, there.reason]);
  // Not even an operation that it lacks everywhere, or wrong fields, tell the two apart.
  for (const namespace of [hidden, "never-was"]) {
    const wrong = { namespace, junk: 1 };
    expect(await failure(fixture.unary(deleteNamespace, wrong, fixture.call(secret)))).toMatchObject({
      code: "NOT_FOUND",
    });
  }
  const keys = listApiKeys;
  expect(await failure(fixture.unary(keys, { namespace: mine, junk: 1 }, fixture.call(secret)))).toMatchObject({
    code: "PERMISSION_DENIED",
    reason: "PERMISSION_DENIED",
    message: expect.stringContaining("keys.read"),
  });
  expect(await failure(fixture.unary(createNamespace, { name: "new" }, fixture.call(secret)))).toMatchObject({
    reason: "PERMISSION_DENIED",
  });
  expect(await failure(fixture.unary(getNamespace, { namespace: "never-was" }))).toMatchObject({ code: "NOT_FOUND" });
});

test("isolation NONE lets every caller read and nothing more", async () => {
  const open = await fixture.createNamespace("NONE");
  const { secret } = await fixture.createKey("default", "worker");
  expect(await fixture.unary(getNamespace, { namespace: open }, fixture.call(secret))).toMatchObject({
    namespace: { name: open },
  });
  for (const denied of [listApiKeys, deleteNamespace]) {
    expect(await failure(fixture.unary(denied, { namespace: open }, fixture.call(secret)))).toMatchObject({
      code: "PERMISSION_DENIED",
    });
  }
});

test("a namespace that cannot exist is told with all that is wrong", async () => {
  for (const namespace of [undefined, 5, "Not A Name", "x".repeat(5000), "*"]) {
    const error = await failure(fixture.unary(getNamespace, { namespace, junk: 1 }));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(error.details.fields?.map(({ field }) => field)).toEqual(["namespace", "junk"]);
  }
  for (const input of [null, undefined, [], "text"]) {
    expect(await failure(fixture.unary(getNamespace, input))).toMatchObject({ code: "INVALID_ARGUMENT" });
  }
});

test("the namespace's limit is told with each answer and refuses what is over it", async () => {
  const namespace = await fixture.createNamespace();
  const quotas = { rateLimitPerMinute: 2 };
  await fixture.tenancy.services.namespaces.update({ namespace, quotas }, fixture.admin);
  const { secret } = await fixture.createKey(namespace, "viewer");
  const first = fixture.call(secret);
  await fixture.unary(getNamespace, { namespace }, first);
  expect(first.rateLimit).toEqual({ limit: 2, windowSeconds: 60, remaining: 1, resetSeconds: 60 });
  // What names no namespace counts for the caller's own.
  await fixture.unary(whoAmI, {}, fixture.call(secret));
  const refused = fixture.call(secret);
  expect(await failure(fixture.unary(getNamespace, { namespace }, refused))).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "RATE_LIMITED",
    retryAfterMs: expect.any(Number),
    details: { quota: { subject: `namespaces/${namespace}` } },
  });
  expect(refused.rateLimit).toMatchObject({ remaining: 0 });
});

test("fields go to those who may see them, wherever they lie, and the handler's own value stays whole", async () => {
  const value = { items: [{ text: "a", secret: "s" }], byName: { b: { text: "b", secret: "s" } } };
  handlers.unary = () => value;
  const { secret: viewer } = await fixture.createKey("default", "viewer");
  const input = { namespace: "default" };
  expect(await fixture.unary(getItems, input)).toBeDefined();
  expect(await fixture.unary(getItems, input)).toEqual(value);
  expect(await fixture.unary(getItems, input, fixture.call(viewer))).toEqual({
    items: [{ text: "a" }],
    byName: { b: { text: "b" } },
  });
  expect(value.items[0]).toHaveProperty("secret");
  handlers.stream = async function* () {
    yield { text: "a", secret: "s" };
  };
  expect(await collect(fixture.dispatcher.serverStream(watchItems, input, fixture.call(viewer)))).toEqual([
    { text: "a" },
  ]);
  expect(await fixture.unary(getInfo, {})).toHaveProperty("stores");
  expect(await fixture.unary(getInfo, {}, fixture.call(viewer))).not.toHaveProperty("stores");
});

test("what goes wrong inside is logged with its cause and told to nobody", async () => {
  handlers.unary = () => {
    throw new Error("SELECT secret FROM somewhere");
  };
  const error = await failure(fixture.unary(getItems, { namespace: "default" }));
  expect(error).toMatchObject({ code: "INTERNAL", reason: "INTERNAL" });
  expect(error.message).not.toContain("SELECT");
  expect(fixture.logged.at(-1)?.fields).toMatchObject({ operation: "x.get", err: error.cause });
});

test("an answer comes in time from a handler that ignores its signal", async () => {
  let signal: AbortSignal | undefined;
  handlers.unary = (signalOf) => {
    signal = signalOf();
    return new Promise(() => {});
  };
  const late = fixture.call(undefined, { timeoutMs: 20 });
  expect(await failure(fixture.unary(getItems, { namespace: "default" }, late))).toMatchObject({
    code: "DEADLINE_EXCEEDED",
  });
  expect(signal?.aborted).toBe(true);

  const gone = fixture.call();
  handlers.unary = () => {
    gone.abort();
    return new Promise(() => {});
  };
  expect(await failure(fixture.unary(getItems, { namespace: "default" }, gone))).toMatchObject({ code: "CANCELLED" });
  handlers.unary = () => {
    throw new Error("must not run");
  };
  expect(await failure(fixture.unary(getItems, { namespace: "default" }, gone))).toMatchObject({ code: "CANCELLED" });
});

test("a stream is checked before its first element and ends with its client", async () => {
  const bad = fixture.dispatcher.serverStream(watchItems, { namespace: "default", text: 5 }, fixture.call());
  expect(await failure(collect(bad))).toMatchObject({ details: { fields: [{ field: "text" }] } });

  let isReleased = false;
  handlers.stream = async function* (signal) {
    try {
      yield { text: "one" };
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
    } finally {
      isReleased = true;
    }
  };
  const call = fixture.call();
  const iterator = fixture.dispatcher.serverStream(watchItems, { namespace: "default" }, call)[Symbol.asyncIterator]();
  expect(await iterator.next()).toEqual({ done: false, value: { text: "one" } });
  const pending = failure(iterator.next());
  call.abort();
  expect(await pending).toMatchObject({ code: "CANCELLED" });
  await expect.poll(() => isReleased).toBe(true);

  isReleased = false;
  const left = fixture.dispatcher.serverStream(watchItems, { namespace: "default" }, fixture.call());
  for await (const item of left) {
    expect(item).toEqual({ text: "one" });
    break;
  }
  await expect.poll(() => isReleased).toBe(true);
});

test("an open stream ends when its key is revoked, and no caller holds too many", async () => {
  handlers.stream = async function* () {
    yield { text: "one" };
    await new Promise(() => {});
  };
  const namespace = await fixture.createNamespace();
  const { secret, keyId } = await fixture.createKey(namespace, "viewer");
  const open = () =>
    fixture.dispatcher.serverStream(watchItems, { namespace }, fixture.call(secret))[Symbol.asyncIterator]();
  const [first, second] = [open(), open()];
  await first.next();
  await second.next();
  expect(await failure(open().next())).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "TOO_MANY_STREAMS" });
  await second.return?.();
  const third = open();
  await third.next();

  const ends = [failure(first.next()), failure(third.next())];
  await fixture.tenancy.services.apiKeys.revoke({ namespace, keyId });
  for (const end of ends) expect(await end).toMatchObject({ reason: "CREDENTIALS_INVALID" });
});

test("a conversation is authorised by its first message, and every message is checked", async () => {
  const say = (messages: unknown[], key?: string) =>
    collect(
      fixture.dispatcher.bidi(
        talk,
        (async function* () {
          yield* messages;
        })(),
        fixture.call(key),
      ),
    );
  const first = { namespace: "default", text: "a" };
  expect(await say([first, { text: "b" }, first])).toEqual([{ text: "a" }, { text: "b" }, { text: "a" }]);
  expect(await failure(say([first, { text: "too long" }]))).toMatchObject({ details: { fields: [{ field: "text" }] } });
  expect(await failure(say([first, { namespace: "other" }]))).toMatchObject({
    details: { fields: [{ field: "namespace" }] },
  });
  expect(await failure(say([{ text: "a" }]))).toMatchObject({ details: { fields: [{ field: "namespace" }] } });
  expect(await failure(say([]))).toMatchObject({ code: "INVALID_ARGUMENT" });
  const { secret } = await fixture.createKey(await fixture.createNamespace(), "viewer");
  expect(await failure(say([first], secret))).toMatchObject({ code: "NOT_FOUND" });
});

test("a conversation that never begins is ended", async () => {
  const silent = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
  expect(await failure(collect(fixture.dispatcher.bidi(talk, silent, fixture.call())))).toMatchObject({
    reason: "FIRST_MESSAGE_MISSING",
  });
});

test("observers see each call end once, under its names", async () => {
  handlers.unary = () => ({ items: [] });
  handlers.stream = async function* () {
    yield { text: "one" };
  };
  ended.length = 0;
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const incoming = { requestId: "mine", traceparent: `00-${trace}-00f067aa0ba902b7-01` };
  await fixture.unary(getItems, { namespace: "default" }, fixture.call(undefined, incoming));
  await failure(fixture.unary(getItems, { namespace: "default" }, fixture.call("junk", { requestId: "has space" })));
  await collect(fixture.dispatcher.serverStream(watchItems, { namespace: "default" }, fixture.call()));
  expect(ended).toEqual([
    { name: "x.get", code: "OK", requestId: "mine", traceId: trace },
    { name: "x.get", code: "UNAUTHENTICATED", requestId: expect.stringMatching(/^[0-9a-f-]{36}$/), traceId: "" },
    { name: "x.watch", code: "OK", requestId: expect.any(String), traceId: "" },
  ]);
});
