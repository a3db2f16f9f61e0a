import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/platform/postgres/database.ts";
import type { Task } from "../../src/services/tasks/task-model.ts";
import { eventually } from "../support/eventually.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";
import {
  callWith,
  countBothWays,
  createTasksFixture,
  emptyTasks,
  held,
  migrateTasks,
  NAMESPACE,
  type TasksFixture,
} from "./tasks-fixture.ts";

const LEASE_LOST = { code: "ABORTED", reason: "LEASE_LOST" };
/** Well below the five seconds after which a waiter looks again by itself. */
const PROMPT_MS = 4_000;

describe.each(databaseEngines)("leases, fences and attempts on $name", (engine) => {
  let open: OpenEngine;
  let database: Database;
  let gateway: TasksFixture;
  let random = 0.5;
  /** How often anybody has looked for work. */
  let looks = 0;

  beforeAll(async () => {
    open = await engine.open();
    database = open.database;
    await migrateTasks(database);
  });
  beforeEach(async () => {
    await emptyTasks(database);
    random = 0.5;
    looks = 0;
    const counting: Database = {
      ...database,
      engine: database.engine,
      query: async (text, values) => {
        const result = await database.query<never>(text, values);
        if (text.includes("candidates")) looks += 1;
        return result;
      },
      transaction: async (work) => {
        const result = await database.transaction(work);
        looks += 1;
        return result;
      },
    };
    gateway = await createTasksFixture(counting, { random: () => random });
  });
  afterEach(async () => {
    await gateway.close();
    const { counters, rows } = await countBothWays(database);
    expect(counters).toEqual(rows);
  });
  afterAll(() => open.close());

  const leaseOne = async (): Promise<Task> => (await gateway.lease())[0]!;
  const error = { message: "broken" };
  const fail = (task: Task, more: object = {}) =>
    gateway.executions.fail({ ...held(task), error, retryable: true, ...more });
  const get = (task: Task) => gateway.tasks.get(NAMESPACE, task.taskId);
  /** Answers what `wait` resolves to, if that comes long before a waiter looks by itself. */
  const promptly = async <T>(wait: Promise<T>): Promise<T> => {
    const begun = performance.now();
    const value = await wait;
    expect(performance.now() - begun).toBeLessThan(PROMPT_MS);
    return value;
  };
  describe("long polls are woken at once", () => {
    const waiting = async (request: object = {}, quotas = {}) => {
      const box: { answer?: Promise<Task[]> } = {};
      const seen = looks;
      box.answer = gateway.lease({ waitMs: 20_000, workerId: "waiter", ...request }, callWith(quotas));
      await eventually("the waiter has looked", () => looks > seen);
      return box as { answer: Promise<Task[]> };
    };

    test("by an enqueue", async () => {
      const waiter = await waiting();
      const task = await gateway.enqueue();
      expect((await promptly(waiter.answer)).map(({ taskId }) => taskId)).toEqual([task.taskId]);
    });

    test("by a runAt that comes", async () => {
      await gateway.start();
      const waiter = await waiting();
      await gateway.enqueue({ runAt: new Date(Date.now() + 300).toISOString() });
      expect(await promptly(waiter.answer)).toHaveLength(1);
    });

    test("by a resume, a release and a redrive", async () => {
      await gateway.enqueue();
      await gateway.queues.setPaused(NAMESPACE, "q", true, undefined);
      const paused = await waiting();
      await gateway.queues.setPaused(NAMESPACE, "q", false, undefined);
      const [task] = await promptly(paused.answer);
      const second = await waiting();
      await gateway.executions.release({ ...held(task!), delayMs: 0 });
      const [again] = await promptly(second.answer);
      await fail(again!, { retryable: false });
      const third = await waiting();
      await gateway.tasks.redrive(NAMESPACE, { labels: {} }, 10);
      expect(await promptly(third.answer)).toHaveLength(1);
    });

    test("where the first in line cannot do the task, but another can", async () => {
      const unable = await waiting();
      const able = await waiting({ capabilities: ["gpu"], workerId: "able" });
      await gateway.enqueue({ requiredCapabilities: ["gpu"] });
      expect(await promptly(able.answer)).toHaveLength(1);
      await gateway.enqueue();
      expect(await promptly(unable.answer)).toHaveLength(1);
    });

    test.each([
      ["the queue's maxConcurrency", { maxConcurrency: 1 }, {}],
      ["the queue's maxConcurrencyPerKey", { maxConcurrencyPerKey: 1 }, {}],
      ["the namespace's maxConcurrentExecutions", {}, { maxConcurrentExecutions: 1 }],
    ])("by room under %s", async (_name, limits, quotas) => {
      await gateway.queues.update(NAMESPACE, "q", limits);
      await gateway.enqueueBatch(Array.from({ length: 4 }, () => ({ concurrencyKey: "k" })));
      let [task] = await gateway.lease({}, callWith(quotas));
      for (const make of [
        () => gateway.executions.complete(held(task!)),
        () => gateway.executions.batchComplete(NAMESPACE, [held(task!)]),
        () => gateway.tasks.cancel(NAMESPACE, task!.taskId, undefined),
      ]) {
        const waiter = await waiting({}, quotas);
        await make();
        [task] = await promptly(waiter.answer);
        expect(task).toBeDefined();
      }
    });

    test("in a queue that was given a limit a moment ago", async () => {
      await gateway.enqueue();
      await gateway.lease();
      await gateway.queues.update(NAMESPACE, "q", { maxConcurrency: 5 });
      const waiter = await waiting();
      await gateway.enqueue();
      expect(await promptly(waiter.answer)).toHaveLength(1);
    });

    test("and one that goes away does not take the wake-up with it", async () => {
      const call = callWith();
      const leaving = gateway.lease({ waitMs: 20_000 }, call);
      await eventually("the first has looked", () => looks === 1);
      const staying = await waiting({ workerId: "staying" });
      const enqueued = gateway.enqueue();
      await enqueued.then(() => call.abort());
      const answers = [...(await leaving), ...(await promptly(staying.answer))];
      expect(answers).toHaveLength(1);
    });
  });

  describe("a fence that does not hold the task changes nothing", () => {
    const everyVerb = (task: Task): Record<string, () => Promise<unknown>> => ({
      complete: () => gateway.executions.complete({ ...held(task), result: "stale" }),
      fail: () => fail(task),
      failForGood: () => fail(task, { retryable: false }),
      release: () => gateway.executions.release({ ...held(task), delayMs: 0 }),
      heartbeat: () => gateway.executions.heartbeat({ ...held(task), leaseMs: 1000 }),
      progress: () => gateway.executions.heartbeat({ ...held(task), leaseMs: 1000, progress: { percent: 5 } }),
    });
    const expectRefused = async (verbs: Record<string, () => Promise<unknown>>, task: Task) => {
      const before = await gateway.row(task.taskId);
      for (const [name, verb] of Object.entries(verbs)) {
        await expect(verb(), name).rejects.toMatchObject(LEASE_LOST);
        expect(await gateway.row(task.taskId), name).toEqual(before);
      }
    };
    const cancel = (task: Task) => ({ cancel: () => gateway.tasks.cancel(NAMESPACE, task.taskId, task.fence) });

    test("after another worker got it", async () => {
      await gateway.enqueue();
      const first = await leaseOne();
      await gateway.executions.release({ ...held(first), delayMs: 0 });
      const second = await leaseOne();
      expect(second.fence).toBe(first.fence + 1);
      await expectRefused({ ...everyVerb(first), ...cancel(first) }, first);
      expect((await gateway.executions.complete({ ...held(second), result: 1 })).result).toBe(1);
      await expectRefused({ ...everyVerb(first), ...cancel(first) }, first);
    });

    test("after its lease ran out, though nobody else has it yet", async () => {
      await gateway.start();
      await gateway.enqueue();
      const [task] = await gateway.lease({ leaseMs: 100 });
      await eventually("the lease is taken back", async () => (await get(task!)).state === "READY");
      await expectRefused(everyVerb(task!), task!);
      expect((await get(task!)).failures).toMatchObject([{ type: "LEASE_EXPIRED", attempt: 1, workerId: "worker" }]);
    });

    test("after a cancel", async () => {
      await gateway.enqueue();
      const task = await leaseOne();
      await gateway.tasks.cancel(NAMESPACE, task.taskId, task.fence);
      await expectRefused(everyVerb(task), task);
      expect((await gateway.tasks.cancel(NAMESPACE, task.taskId, undefined)).state).toBe("CANCELLED");
    });

    test("with a fence that was never given, and NOT_FOUND for a task that is not there", async () => {
      await gateway.enqueue();
      const task = await leaseOne();
      await expectRefused({ ...everyVerb({ ...task, fence: 9 }), ...cancel({ ...task, fence: 9 }) }, task);
      const nobody = { ...task, taskId: "01900000-0000-7000-8000-000000000000" };
      for (const verb of Object.values({ ...everyVerb(nobody), ...cancel(nobody) }))
        await expect(verb()).rejects.toMatchObject({ code: "NOT_FOUND" });
    });
  });

  test("a repeated completion answers the first result, and a completed task cannot be cancelled", async () => {
    await gateway.enqueue();
    const task = await leaseOne();
    const first = await gateway.executions.complete({ ...held(task), result: { n: 1 } });
    expect(await gateway.executions.complete({ ...held(task), result: { n: 2 } })).toEqual(first);
    expect(first.result).toEqual({ n: 1 });
    await expect(gateway.tasks.cancel(NAMESPACE, task.taskId, undefined)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "TASK_FINAL",
    });
  });

  test("a batch of completions decides each for itself, the same task named twice too", async () => {
    await gateway.enqueueBatch([{}, {}, {}, {}]);
    const [a, b, c, d] = await gateway.lease({ maxTasks: 4 });
    await gateway.executions.complete({ ...held(a!), result: "first" });
    await gateway.executions.release({ ...held(b!), delayMs: 0 });
    const nobody = { taskId: "01900000-0000-7000-8000-000000000000", fence: 1 };
    const outcomes = await gateway.executions.batchComplete(NAMESPACE, [
      { ...held(a!), result: "second" },
      held(b!),
      { ...held(c!), result: "right" },
      { ...held(c!), result: "again" },
      { ...held(d!), fence: 7, result: "never leased with this" },
      { ...held(d!), result: "held" },
      nobody,
    ]);
    expect(outcomes).toEqual([
      "COMPLETED",
      "LEASE_LOST",
      "COMPLETED",
      "COMPLETED",
      "LEASE_LOST",
      "COMPLETED",
      "NOT_FOUND",
    ]);
    const results = await gateway.tasks.getMany(
      NAMESPACE,
      [a, b, c, d].map((task) => task!.taskId),
    );
    expect(new Map(results.map(({ taskId, result }) => [taskId, result]))).toEqual(
      new Map([
        [a!.taskId, "first"],
        [b!.taskId, undefined],
        [c!.taskId, "right"],
        [d!.taskId, "held"],
      ]),
    );
  });

  test.each([
    [0.5, [1000, 3000, 9000, 10_000]],
    [0, [500, 1500, 4500, 5000]],
    [1, [1500, 4500, 10_000, 10_000]],
  ])(
    "retries wait as the policy says, spread by jitter, never longer than maxBackoffMs (random %d)",
    async (value, waits) => {
      random = value;
      const retryPolicy = {
        maxAttempts: 5,
        initialBackoffMs: 1000,
        maxBackoffMs: 10_000,
        multiplier: 3,
        jitter: 0.5,
      };
      await gateway.enqueue({ retryPolicy });
      const observed: number[] = [];
      for (const _ of waits) {
        const failed = await fail(await leaseOne());
        expect(failed.state).toBe("SCHEDULED");
        observed.push(Date.parse(failed.runAt) - Date.parse(failed.updatedAt));
        await database.query("UPDATE tasks SET run_at = now() - interval '1 second'", []);
        await promote();
      }
      expect(observed).toEqual(waits);
      expect(await fail(await leaseOne())).toMatchObject({ state: "DEAD_LETTERED", attempt: 5 });
    },
  );

  /** Runs the background loops until what is due is ready. */
  const promote = async () => {
    const other = await createTasksFixture(database);
    await other.start();
    await eventually("due tasks are ready", async () => {
      const { rows } = await database.query(
        "SELECT 1 FROM tasks WHERE state = 'SCHEDULED' AND run_at <= now() LIMIT 1",
        [],
      );
      return rows.length === 0;
    });
    await other.close();
  };

  test("a failure that is not retryable is a dead letter at once; retryAfterMs overrules the policy", async () => {
    await gateway.enqueueBatch([{ kind: "a" }, { kind: "b" }]);
    const [a, b] = await gateway.lease({ maxTasks: 2 });
    const dead = await fail(a!, { retryable: false, error: { message: "no", type: "BAD_INPUT", details: { at: 1 } } });
    expect(dead).toMatchObject({ state: "DEAD_LETTERED", failures: [{ type: "BAD_INPUT", details: { at: 1 } }] });
    expect(await fail(b!, { retryAfterMs: 0 })).toMatchObject({ state: "READY", attempt: 1 });
  });

  test("a repeated report of a failure answers how the task stands", async () => {
    await gateway.enqueue();
    const task = await leaseOne();
    const first = await fail(task);
    expect(await fail(task)).toEqual(first);
  });

  test("a release takes the attempt back, and a delayed one keeps the task's place among its priorities", async () => {
    await gateway.queues.update(NAMESPACE, "q", { agingMs: 3_600_000 });
    await gateway.enqueue({ kind: "low", priority: "LOW" });
    const task = await leaseOne();
    const released = await gateway.executions.release({ ...held(task), delayMs: 7_200_000 });
    expect(released).toMatchObject({ state: "SCHEDULED", attempt: 0 });
    await database.query(
      "UPDATE tasks SET run_at = now() - interval '1 second', order_at = now() - interval '1 second' + (order_at - run_at)",
      [],
    );
    await promote();
    await gateway.enqueue({ kind: "normal" });
    expect((await leaseOne()).kind).toBe("normal");
  });

  test("dead letters are listed, redriven and purged by every filter", async () => {
    await gateway.enqueueBatch([
      { kind: "a", labels: { team: "x" }, retryPolicy: { maxAttempts: 1 } },
      { kind: "b", labels: { team: "y" }, retryPolicy: { maxAttempts: 1 } },
    ]);
    await gateway.enqueue({ kind: "c", retryPolicy: { maxAttempts: 1 } }, "other");
    const tasks = await gateway.lease({ maxTasks: 3, additionalQueues: ["other"] });
    for (const task of tasks) await fail(task, { error: { message: "no", type: `TYPE_${task.kind}` } });
    const a = tasks.find(({ kind }) => kind === "a")!;
    const filters: [object, string][] = [
      [{ taskId: a.taskId }, "a"],
      [{ queue: "other" }, "c"],
      [{ kind: "b" }, "b"],
      [{ labels: { team: "y" } }, "b"],
      [{ errorType: "TYPE_c" }, "c"],
      [{ createdAfter: tasks.find(({ kind }) => kind === "c")!.createdAt, queue: "other" }, "c"],
    ];
    for (const [filter, kind] of filters) {
      const given = { labels: {}, ...filter };
      const page = await gateway.tasks.list(
        NAMESPACE,
        { ...given, states: ["DEAD_LETTERED"] },
        { pageSize: 9, pageToken: undefined },
      );
      expect(page.tasks.map((task) => task.kind)).toEqual([kind]);
      expect(await gateway.tasks.redrive(NAMESPACE, given, 9)).toBe(1);
      const [again] = await gateway.lease({ additionalQueues: ["other"] });
      expect(again).toMatchObject({ kind, attempt: 1 });
      expect(again!.failures).not.toHaveLength(0);
      await fail(again!, { error: { message: "no", type: `TYPE_${kind}` } });
    }
    expect(await gateway.tasks.purge(NAMESPACE, { labels: {}, createdBefore: "2020-01-01T00:00:00Z" }, 9)).toBe(0);
    expect(await gateway.tasks.purge(NAMESPACE, { labels: {}, kind: "b" }, 9)).toBe(1);
    expect(await gateway.tasks.redrive(NAMESPACE, { labels: {} }, 1)).toBe(1);
    expect(await gateway.tasks.purge(NAMESPACE, { labels: {} }, 9)).toBe(1);
  });

  test("an expired lease is found within a second, and a heartbeat keeps one alive", async () => {
    await gateway.start();
    await gateway.enqueueBatch([{ retryPolicy: { maxAttempts: 1 } }, {}]);
    // Long enough that the heartbeat comes in time on a machine that is busy with other things.
    const [dead, alive] = await gateway.lease({ maxTasks: 2, leaseMs: 1_500 });
    await gateway.executions.heartbeat({ ...held(alive!), leaseMs: 30_000 });
    const endsAt = Date.parse(dead!.leaseExpiresAt!);
    await eventually("the lease is taken back", async () => (await get(dead!)).state === "DEAD_LETTERED");
    expect(Date.parse((await get(dead!)).finishedAt!) - endsAt).toBeLessThan(1000);
    expect((await get(alive!)).state).toBe("LEASED");
  });

  test("an attempt is taken away when its execution time is over, heartbeats or not", async () => {
    await gateway.start();
    await gateway.enqueue({ executionTimeoutMs: 1_500 });
    const task = await leaseOne();
    await gateway.executions.heartbeat({ ...held(task), leaseMs: 30_000 });
    await eventually("the attempt is taken away", async () => (await get(task)).state === "READY");
    expect((await get(task)).failures).toMatchObject([{ type: "EXECUTION_TIMEOUT" }]);
  });

  test("when the lease store forgets everything, who heartbeats keeps its task and who is dead loses it", async () => {
    await gateway.enqueueBatch([{}, {}]);
    const [alive, dead] = await gateway.lease({ maxTasks: 2, leaseMs: 200 });
    await database.query("DELETE FROM lease_deadlines", []);
    await gateway.executions.heartbeat({ ...held(alive!), leaseMs: 30_000 });
    await gateway.start();
    await eventually("the dead worker's task comes back", async () => (await get(dead!)).state === "READY");
    expect((await get(alive!)).state).toBe("LEASED");
    expect((await gateway.executions.complete(held(alive!))).state).toBe("COMPLETED");
  });

  test("finished tasks are deleted when they are old, dead letters are kept", async () => {
    await gateway.close();
    gateway = await createTasksFixture(database, { retentionMs: 0 });
    await gateway.enqueueBatch([{}, {}, {}]);
    const [a, b, c] = await gateway.lease({ maxTasks: 3 });
    await gateway.executions.complete({ ...held(a!), result: "some bytes" });
    await gateway.tasks.cancel(NAMESPACE, b!.taskId, undefined);
    await fail(c!, { retryable: false });
    await gateway.start();
    const all = () => gateway.tasks.list(NAMESPACE, { labels: {} }, { pageSize: 9, pageToken: undefined });
    await eventually("finished tasks are gone", async () => (await all()).tasks.length === 1);
    expect((await all()).tasks[0]!.taskId).toBe(c!.taskId);
  });

  test("workers register, get no work while they drain, and are LOST when they are not heard of", async () => {
    const worker = { namespace: NAMESPACE, workerId: "worker", queues: ["q"], capabilities: [], metadata: { v: "1" } };
    await gateway.workers.register({ ...worker, ttlMs: 60_000 });
    await gateway.enqueue();
    expect((await gateway.workers.drain(NAMESPACE, "worker")).state).toBe("DRAINING");
    expect(await gateway.lease()).toEqual([]);
    expect((await gateway.workers.heartbeat(NAMESPACE, "worker")).state).toBe("DRAINING");
    expect((await gateway.workers.register({ ...worker, ttlMs: 50 })).state).toBe("ACTIVE");
    expect(await gateway.lease()).toHaveLength(1);
    expect(await gateway.workers.heldTasks(NAMESPACE, ["worker"])).toHaveLength(1);
    await eventually("it is lost", async () => (await gateway.workers.get(NAMESPACE, "worker")).state === "LOST");
    await gateway.workers.deregister(NAMESPACE, "worker");
    await expect(gateway.workers.heartbeat(NAMESPACE, "worker")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
