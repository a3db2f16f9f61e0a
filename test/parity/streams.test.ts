import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CallOptions, Failure, Input, StreamItem, StreamReader } from "../support/clients-model.ts";
import { type Actor, type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";

const WAYS = ["sse", "ndjson", "grpc", "graphql-sse", "graphql-ws"] as const;
type Way = (typeof WAYS)[number];

let gateway: ParityGateway;
let actor: Actor;
/** Where the events of the tests begin. */
let start: string;

beforeAll(async () => {
  gateway = await startParityGateway();
  actor = await gateway.actor("rest", "watched");
  start = await firstCursor();
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

function open(way: Way, input: Input, options: CallOptions = { authorization: gateway.admin }): StreamReader {
  const client = Object.values(gateway.clients).find(({ streams }) => way in streams)!;
  return client.streams[way]!("tasks.watch", { namespace: "watched", ...input }, options);
}

/** A stream without a cursor says first where it begins. */
async function firstCursor(): Promise<string> {
  const [item] = await take(open("grpc", {}), 1);
  if (item?.kind !== "message") throw new Error(`The first watch said ${JSON.stringify(item)}.`);
  return item.output.cursor as string;
}

async function take(stream: StreamReader, count: number): Promise<StreamItem[]> {
  const items: StreamItem[] = [];
  while (items.length < count) items.push(await stream.next());
  stream.close();
  return items;
}

test.each(WAYS)("%s says where a watch without a cursor begins, before anything has happened", async (way) => {
  const [first] = await take(open(way, { queue: "empty" }), 1);
  expect(first).toMatchObject({ kind: "message", output: { cursor: expect.any(String) } });
  expect((first as { output: Input }).output.event ?? undefined).toBeUndefined();
  const { task } = await actor.must("tasks.enqueue", { queue: `begun-${way}`, kind: "k" });
  const { cursor } = (first as { output: Input }).output;
  const [next] = await take(open(way, { queue: `begun-${way}`, cursor }), 1);
  expect(next).toMatchObject({ output: { event: { taskId: task.taskId } } });
});

test("every way tells of the same events with the same cursors, and resumes after any of them", async () => {
  const queue = "told";
  const filtered = { queue, cursor: start };
  const streams = WAYS.map((way) => open(way, filtered));
  const { task } = await actor.must("tasks.enqueue", { queue, kind: "embed" });
  const { tasks } = await actor.must("tasks.lease", { queue, workerId: "w1" });
  await actor.must("tasks.complete", { taskId: task.taskId, fence: tasks[0].fence });

  const live = await Promise.all(streams.map((stream) => take(stream, 3)));
  const types = live[0]!.map((item) => (item.kind === "message" ? (item.output.event as Input).type : item));
  expect(types).toEqual(["ENQUEUED", "LEASED", "COMPLETED"]);
  const told = live.map(withoutNulls);
  for (const [index, way] of WAYS.entries()) expect(told[index], way).toEqual(told[0]);

  const [first] = live[0]!;
  const cursor = (first as { output: Input }).output.cursor;
  for (const way of WAYS) {
    const resumed = await take(open(way, { queue, cursor }), 2);
    expect(withoutNulls(resumed), `${way} resumed`).toEqual(told[0]!.slice(1));
  }
});

/** GraphQL says null of what is absent. */
function withoutNulls(items: readonly StreamItem[]): unknown[] {
  return JSON.parse(JSON.stringify(items, (_key, value) => (value === null ? undefined : value))) as unknown[];
}

describe("a stream that is refused", () => {
  const key = { authorization: "Bearer tarl_nonsense" };
  const cases: readonly [what: string, input: Input, options: CallOptions | undefined, code: string, reason: string][] =
    [
      ["without credentials", {}, {}, "UNAUTHENTICATED", "CREDENTIALS_MISSING"],
      ["with a bad cursor", { cursor: "bm9uc2Vuc2U" }, undefined, "INVALID_ARGUMENT", "INVALID_ARGUMENT"],
      ["with a bad queue", { queue: "No Queue" }, undefined, "INVALID_ARGUMENT", "INVALID_ARGUMENT"],
      ["with a bad id", { taskId: "no-id" }, undefined, "INVALID_ARGUMENT", "INVALID_ARGUMENT"],
      ["with a bad namespace", { namespace: "No Namespace" }, undefined, "INVALID_ARGUMENT", "INVALID_ARGUMENT"],
      ["in no namespace", { namespace: "nowhere" }, undefined, "NOT_FOUND", "NAMESPACE_NOT_FOUND"],
    ];
  test.each(cases)("%s says the same everywhere", async (_what, input, options, code, reason) => {
    const failures: Failure[] = [];
    for (const way of WAYS) {
      const [item] = await take(open(way, input, options), 1);
      expect(item, way).toMatchObject({ kind: "failure", failure: { code, reason } });
      failures.push((item as { failure: Failure }).failure);
    }
    for (const [index, way] of WAYS.entries()) expect(failures[index], way).toEqual(failures[0]);
  });

  test("with a bad key says so, on a socket before anything else", async () => {
    for (const way of WAYS.filter((one) => one !== "graphql-ws")) {
      const [item] = await take(open(way, {}, key), 1);
      expect(item, way).toMatchObject({ kind: "failure", failure: { reason: "CREDENTIALS_INVALID" } });
    }
    await expect(take(open("graphql-ws", {}, key), 1)).rejects.toMatchObject({ code: 4403 });
  });

  test("by a permission says the same everywhere", async () => {
    await actor.must("roles.create", { name: "blind", permissions: ["leases.read"] });
    const authorization = await actor.key("blind");
    for (const way of WAYS) {
      const [item] = await take(open(way, {}, { authorization }), 1);
      expect(item, way).toMatchObject({ kind: "failure", failure: { code: "PERMISSION_DENIED" } });
    }
  });
});

describe("a worker's session", () => {
  const begin = (queue: string): Input => ({ type: "START", queues: [queue], workerId: "session-1", capabilities: [] });
  const send = (session: { send(input: Input): void }, command: Input) =>
    session.send({ namespace: "watched", command });
  const session = (options: CallOptions = { authorization: gateway.admin }) =>
    gateway.clients.grpc.session("tasks.work", options);

  test("gets what leaseTasks would get, and its results count as completeTask's do", async () => {
    const { task } = await actor.must("tasks.enqueue", { queue: "session", kind: "embed", payload: { n: 1 } });
    const stream = session();
    send(stream, begin("session"));
    const assigned = await stream.next();
    expect(assigned).toMatchObject({
      output: { event: { type: "ASSIGNED", task: { taskId: task.taskId, payload: { n: 1 } } } },
    });
    const { fence } = (await actor.must("tasks.get", { taskId: task.taskId })).task;
    send(stream, { type: "COMPLETE", taskId: task.taskId, fence: fence + 1 });
    expect(await stream.next()).toMatchObject({
      output: { event: { type: "REFUSED", code: "ABORTED", reason: "LEASE_LOST" } },
    });
    send(stream, { type: "COMPLETE", taskId: task.taskId, fence, result: "done" });
    expect(await stream.next()).toMatchObject({ output: { event: { type: "ACKNOWLEDGED", command: "COMPLETE" } } });
    send(stream, { type: "STOP" });
    expect(await stream.next()).toMatchObject({ output: { event: { type: "DRAINING" } } });
    expect(await stream.next()).toEqual({ kind: "end" });
    expect((await actor.must("tasks.get", { taskId: task.taskId })).task).toMatchObject({
      state: "COMPLETED",
      result: "done",
    });
  });

  const refusals: readonly [what: string, command: Input, options: CallOptions | undefined, reason: string][] = [
    ["without credentials", begin("session"), {}, "CREDENTIALS_MISSING"],
    ["that begins with something else", { type: "STOP" }, undefined, "SESSION_NOT_STARTED"],
    ["without queues", { ...begin("session"), queues: [] }, undefined, "INVALID_ARGUMENT"],
  ];
  test.each(refusals)("%s is refused", async (_what, command, options, reason) => {
    const stream = session(options);
    send(stream, command);
    expect(await stream.next()).toMatchObject({ kind: "failure", failure: { reason } });
  });
});

test("nothing of all this failed inside the gateway", () => {
  expect(gateway.logged).toEqual([]);
});
