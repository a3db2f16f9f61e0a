import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Database } from "../../src/platform/postgres/database.ts";
import { createPgliteDatabase } from "../../src/platform/postgres/pglite-database.ts";
import {
  countBothWays,
  createTasksFixture,
  emptyTasks,
  migrateTasks,
  NAMESPACE,
  type TasksFixture,
} from "./tasks-fixture.ts";

const MAX_ATTEMPTS = 3;

interface ModelTask {
  readonly id: string;
  state: string;
  fence: number;
  attempt: number;
  readonly events: string[];
}
/** What should be true: tasks in the order they were enqueued. */
type Model = ModelTask[];

let database: Database;
beforeAll(async () => {
  database = await createPgliteDatabase();
  await migrateTasks(database);
});
afterAll(() => database.close());

async function checkAgreement(model: Model): Promise<void> {
  const { rows } = await database.query<ModelTask>("SELECT id, state, fence, attempt FROM tasks ORDER BY id", []);
  expect(rows).toEqual(model.map(({ id, state, fence, attempt }) => ({ id, state, fence, attempt })));
  const both = await countBothWays(database);
  expect(both.counters).toEqual(both.rows);
  const { rows: events } = await database.query<{ task_id: string; type: string }>(
    "SELECT unnest(task_ids) AS task_id, type FROM task_events ORDER BY xid, id",
    [],
  );
  for (const task of model)
    expect(events.filter((event) => event.task_id === task.id).map(({ type }) => type)).toEqual(task.events);
}

/** What a verb that names a fence should do to a task that the fence holds. */
const verbs = {
  complete: (task: ModelTask) => end(task, "COMPLETED", "COMPLETED"),
  fail: (task: ModelTask) =>
    task.attempt < MAX_ATTEMPTS ? end(task, "READY", "FAILED") : end(task, "DEAD_LETTERED", "DEAD_LETTERED"),
  failForGood: (task: ModelTask) => end(task, "DEAD_LETTERED", "DEAD_LETTERED"),
  release: (task: ModelTask) => {
    task.attempt -= 1;
    end(task, "READY", "RELEASED");
  },
};
type Verb = keyof typeof verbs;

function end(task: ModelTask, state: string, event: string): void {
  task.state = state;
  task.events.push(event);
}

function call(gateway: TasksFixture, verb: Verb, taskId: string, fence: number): Promise<unknown> {
  const held = { namespace: NAMESPACE, taskId, fence };
  // Each report is its own, so that none is taken for the repetition of another.
  const error = { message: `${Math.random()}` };
  switch (verb) {
    case "complete":
      return gateway.executions.complete(held);
    case "fail":
      return gateway.executions.fail({ ...held, error, retryable: true });
    case "failForGood":
      return gateway.executions.fail({ ...held, error, retryable: false });
    case "release":
      return gateway.executions.release({ ...held, delayMs: 0 });
  }
}

type Command = fc.AsyncCommand<Model, TasksFixture>;
const command = (name: string, run: Command["run"]): Command => ({
  check: () => true,
  toString: () => name,
  async run(model, gateway) {
    await run(model, gateway);
    await checkAgreement(model);
  },
});

const enqueue = (count: number) =>
  command(`enqueue ${count}`, async (model, gateway) => {
    const retryPolicy = { maxAttempts: MAX_ATTEMPTS, initialBackoffMs: 0 };
    const ids = await gateway.enqueueBatch(Array.from({ length: count }, () => ({ retryPolicy })));
    for (const id of ids) model.push({ id, state: "READY", fence: 0, attempt: 0, events: ["ENQUEUED"] });
  });

const lease = (count: number) =>
  command(`lease ${count}`, async (model, gateway) => {
    const leased = await gateway.lease({ maxTasks: count });
    const ready = model.filter((task) => task.state === "READY");
    expect(leased).toHaveLength(Math.min(count, ready.length));
    for (const { taskId, fence } of leased) {
      const task = ready.find(({ id }) => id === taskId)!;
      task.fence += 1;
      task.attempt += 1;
      expect(fence).toBe(task.fence);
      end(task, "LEASED", "LEASED");
    }
  });

const settle = (verb: Verb, pick: number, fenceOffset: number) =>
  command(`${verb} #${pick} fence${fenceOffset}`, async (model, gateway) => {
    const task = model[pick % model.length];
    if (task === undefined) return;
    const fence = task.fence + fenceOffset;
    const holds = task.state === "LEASED" && fenceOffset === 0;
    const repeats = verb === "complete" && task.state === "COMPLETED" && fenceOffset === 0;
    const outcome = call(gateway, verb, task.id, fence);
    if (holds || repeats) await outcome;
    else await expect(outcome).rejects.toMatchObject({ code: "ABORTED", reason: "LEASE_LOST" });
    if (holds) verbs[verb](task);
  });

const cancel = (pick: number) =>
  command(`cancel #${pick}`, async (model, gateway) => {
    const task = model[pick % model.length];
    if (task === undefined) return;
    const final = task.state === "COMPLETED" || task.state === "DEAD_LETTERED";
    const outcome = gateway.tasks.cancel(NAMESPACE, task.id, undefined);
    if (final) await expect(outcome).rejects.toMatchObject({ reason: "TASK_FINAL" });
    else await outcome;
    if (!final && task.state !== "CANCELLED") end(task, "CANCELLED", "CANCELLED");
  });

const redrive = () =>
  command("redrive", async (model, gateway) => {
    const dead = model.filter((task) => task.state === "DEAD_LETTERED");
    expect(await gateway.tasks.redrive(NAMESPACE, { labels: {} }, 100)).toBe(dead.length);
    for (const task of dead) {
      task.attempt = 0;
      end(task, "READY", "REDRIVEN");
    }
  });

const purge = () =>
  command("purge", async (model, gateway) => {
    const dead = model.filter((task) => task.state === "DEAD_LETTERED");
    expect(await gateway.tasks.purge(NAMESPACE, { labels: {} }, 100)).toBe(dead.length);
    for (const task of dead) model.splice(model.indexOf(task), 1);
  });

const small = fc.integer({ min: 1, max: 4 });
const anyTask = fc.nat(20);
const commands = fc.commands(
  [
    small.map(enqueue),
    small.map(lease),
    fc
      .tuple(fc.constantFrom(...(Object.keys(verbs) as Verb[])), anyTask, fc.constantFrom(0, 0, 0, -1, 1))
      .map(([verb, pick, offset]) => settle(verb, pick, offset)),
    anyTask.map(cancel),
    fc.constant(redrive()),
    fc.constant(purge()),
  ],
  { maxCommands: 40, size: "max" },
);

test("rows, counters and events follow the state machine, whatever is asked in whatever order", async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (plan) => {
      await emptyTasks(database);
      const gateway = await createTasksFixture(database);
      try {
        await fc.asyncModelRun(() => ({ model: [], real: gateway }), plan);
      } finally {
        await gateway.close();
      }
    }),
    { numRuns: 25 },
  );
});
