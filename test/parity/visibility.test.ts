import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PROTOCOLS } from "../support/clients-model.ts";
import { type Actor, type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";

const HIDDEN = "the-hidden-word";
const QUEUE = "private";

let gateway: ParityGateway;
let actor: Actor;
let viewer: string;
let operator: string;
/** One that is leased, one that is completed, one that is a dead letter. */
const tasks = { leased: "", completed: "", dead: "" };

beforeAll(async () => {
  gateway = await startParityGateway();
  actor = await gateway.actor("rest", "seen");
  viewer = await actor.key("viewer");
  operator = await actor.key("operator");
  await actor.must("workers.register", { workerId: "w1" });
  for (const kind of ["completed", "dead", "leased"] as const) {
    await actor.must("tasks.enqueue", { queue: QUEUE, kind, payload: { word: HIDDEN } });
    const { tasks: leased } = await actor.must("tasks.lease", { queue: QUEUE, workerId: "w1" });
    const { taskId, fence } = leased[0];
    tasks[kind] = taskId;
    if (kind === "completed") await actor.must("tasks.complete", { taskId, fence, result: { word: HIDDEN } });
    if (kind === "dead")
      await actor.must("tasks.fail", { taskId, fence, retryable: false, error: { message: "broken" } });
  }
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

describe("who may not read payloads", () => {
  test.each(PROTOCOLS)("sees neither payloads nor results over %s", async (protocol) => {
    const reads = [
      ["tasks.get", { taskId: tasks.completed }],
      ["tasks.list", {}],
      ["deadLetters.list", {}],
      ["workers.get", { workerId: "w1" }],
    ] as const;
    for (const [operation, input] of reads) {
      const call = (authorization: string) =>
        gateway.clients[protocol].call(operation, { namespace: "seen", ...input }, { authorization });
      const hidden = await call(viewer);
      expect(hidden, operation).toMatchObject({ ok: true });
      expect(JSON.stringify(hidden), operation).not.toContain(HIDDEN);
      expect(JSON.stringify(hidden), operation).toContain(
        tasks[operation === "deadLetters.list" ? "dead" : operation === "workers.get" ? "leased" : "completed"],
      );
      expect(JSON.stringify(await call(operator)), `${operation} for an operator`).toContain(HIDDEN);
    }
  });

  const relations: readonly [what: string, query: string][] = [
    ["Queue.tasks", `{ queue(namespace: "seen", queue: "${QUEUE}") { queue { tasks { taskId payload result } } } }`],
    ["Queue.tasks of a list", `{ queues(namespace: "seen") { queues { tasks { taskId payload result } } } }`],
    ["Worker.tasks", `{ worker(namespace: "seen", workerId: "w1") { worker { tasks { taskId payload result } } } }`],
    ["Worker.tasks of a list", `{ workers(namespace: "seen") { workers { tasks { taskId payload result } } } }`],
    [
      "Task.worker.tasks.queueSettings.tasks",
      `{ tasks(namespace: "seen") { tasks { worker { tasks { queueSettings { tasks { taskId payload result } } } } } } }`,
    ],
  ];
  test.each(relations)("does not see them through %s either", async (_what, query) => {
    const ask = (authorization: string) => gateway.clients.graphql.query({ query, variables: {} }, { authorization });
    const hidden = await ask(viewer);
    expect(hidden.errors).toBeUndefined();
    expect(JSON.stringify(hidden)).toContain(tasks.leased);
    expect(JSON.stringify(hidden)).not.toContain(HIDDEN);
    expect(JSON.stringify(await ask(operator))).toContain(HIDDEN);
  });

  test("does not see them through the events of a watch", async () => {
    const hidden = await watchOnce(viewer);
    expect(hidden).toContain(tasks.leased);
    expect(hidden).not.toContain(HIDDEN);
    expect(await watchOnce(operator)).toContain(HIDDEN);
  });
});

/** The first event of a subscription that asks for its task. */
async function watchOnce(authorization: string): Promise<string> {
  const query = `subscription { watchTasks(namespace: "seen", taskId: "${tasks.leased}") { cursor event { taskId task { taskId payload } } } }`;
  const events = gateway.clients.graphql.subscribe({ query, variables: {} }, { authorization });
  // It says first where it begins: what happens from then on is told.
  await events.next();
  const { task } = await actor.must("tasks.get", { taskId: tasks.leased });
  await actor.must("tasks.release", { taskId: tasks.leased, fence: task.fence });
  await actor.must("tasks.lease", { queue: QUEUE, workerId: "w1" });
  const event = await events.next();
  events.close();
  return JSON.stringify(event);
}

describe("what is within a namespace", () => {
  test("stays hidden from a key of another, through relations too", async () => {
    const other = await gateway.actor("rest", "elsewhere");
    const authorization = await other.key("admin");
    for (const [, query] of relationsOf("seen")) {
      const answer = await gateway.clients.graphql.query({ query, variables: {} }, { authorization });
      expect(answer.errors?.[0]?.extensions).toMatchObject({ code: "NOT_FOUND", reason: "NAMESPACE_NOT_FOUND" });
      expect(JSON.stringify(answer)).not.toContain(HIDDEN);
    }
  });

  test("only who may see how the gateway is set up sees its stores", async () => {
    for (const protocol of PROTOCOLS) {
      const info = (authorization: string) => gateway.clients[protocol].call("system.getInfo", {}, { authorization });
      expect(JSON.stringify(await info(gateway.admin)), protocol).toContain("engine");
      expect(JSON.stringify(await info(operator)), protocol).not.toContain("engine");
    }
  });
});

function relationsOf(namespace: string): readonly [string, string][] {
  return [["queues", `{ queues(namespace: "${namespace}") { queues { queue tasks { taskId payload } } } }`]];
}

test("nothing of all this failed inside the gateway", () => {
  expect(gateway.logged).toEqual([]);
});
