import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { createPageTokens } from "../../src/core/page.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { millisecondsToNextDue } from "../../src/services/tasks/store/maintain.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";
import {
  callWith,
  countBothWays,
  createTasksFixture,
  emptyTasks,
  held,
  migrateTasks,
  NAMESPACE,
  newTask,
  type TaskInput,
  type TasksFixture,
} from "./tasks-fixture.ts";

describe.each(databaseEngines)("enqueueing, order and limits on $name", (engine) => {
  let open: OpenEngine;
  let database: Database;
  let gateway: TasksFixture;

  beforeAll(async () => {
    open = await engine.open();
    database = open.database;
    await migrateTasks(database);
  });
  beforeEach(async () => {
    await emptyTasks(database);
    gateway = await createTasksFixture(database);
  });
  afterEach(async () => {
    const { counters, rows } = await countBothWays(database);
    await gateway.close();
    expect(counters).toEqual(rows);
  });
  afterAll(() => open.close());

  const kindsOf = async (maxTasks = 100) => (await gateway.lease({ maxTasks })).map(({ kind }) => kind);
  const put = (task: TaskInput, quotas = {}) =>
    gateway.tasks.enqueue({ namespace: NAMESPACE, queue: "q", ...newTask(task) }, callWith(quotas));

  test("the promoter knows when the next task is due, and sleeps where none is scheduled", async () => {
    await put({ kind: "now" });
    expect(await millisecondsToNextDue(database)).toBeUndefined();
    await put({ kind: "later", runAt: new Date(Date.now() + 3_600_000).toISOString() });
    const dueInMs = await millisecondsToNextDue(database);
    expect(dueInMs).toBeGreaterThan(3_000_000);
    expect(dueInMs).toBeLessThan(4_000_000);
  });

  test("a key with the same task answers the task that is there, with another one ALREADY_EXISTS", async () => {
    const first = await put({ idempotencyKey: "k", payload: { a: 1, b: 2 } });
    const again = await put({ idempotencyKey: "k", payload: { b: 2, a: 1 } });
    expect([first.duplicate, again.duplicate]).toEqual([false, true]);
    expect(again.task).toEqual(first.task);
    await expect(put({ idempotencyKey: "k", payload: { a: 2 } })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "IDEMPOTENCY_KEY_REUSED",
    });
  });

  test("within one batch the same key with the same task is one task, with another nothing is stored", async () => {
    const [a, b, c] = await gateway.enqueueBatch([{ idempotencyKey: "k" }, { idempotencyKey: "k" }, {}]);
    expect(b).toBe(a);
    expect(c).not.toBe(a);
    await expect(
      gateway.enqueueBatch([{}, { idempotencyKey: "n" }, { idempotencyKey: "n", kind: "x" }]),
    ).rejects.toMatchObject({ reason: "IDEMPOTENCY_KEY_REUSED" });
    await expect(gateway.enqueueBatch([{}, { idempotencyKey: "k", kind: "x" }])).rejects.toMatchObject({
      reason: "IDEMPOTENCY_KEY_REUSED",
    });
    expect(await kindsOf()).toHaveLength(2);
  });

  test("a key raced by many is one task", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => put({ idempotencyKey: "raced" })));
    expect(new Set(answers.map(({ task }) => task.taskId)).size).toBe(1);
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
  });

  // PGlite has one connection: nothing there can wait for another.
  const onPostgres = engine.name === "Postgres" ? test : () => {};
  onPostgres("batches with the same keys in opposite order never deadlock", async () => {
    const keys = Array.from({ length: 40 }, (_, index) => ({ idempotencyKey: `k${String(index).padStart(2, "0")}` }));
    const before = await deadlocks();
    for (let round = 0; round < 8; round++) {
      await Promise.all(
        Array.from({ length: 6 }, (_, index) =>
          gateway.enqueueBatch(
            (index % 2 ? [...keys].reverse() : keys).map(({ idempotencyKey }) => ({
              idempotencyKey: `${round}${idempotencyKey}`,
            })),
          ),
        ),
      );
    }
    expect(await deadlocks()).toBe(before);
  });

  const deadlocks = async () => {
    const { rows } = await database.query<{ count: number }>(
      "SELECT deadlocks AS count FROM pg_stat_database, pg_stat_force_next_flush() WHERE datname = current_database()",
      [],
    );
    return rows[0]!.count;
  };

  test("priority comes first, then runAt, then age; and waiting makes up for priority by agingMs", async () => {
    await gateway.enqueueBatch([
      { kind: "normal-1" },
      { kind: "background", priority: "BACKGROUND" },
      { kind: "normal-2" },
      { kind: "critical", priority: "CRITICAL" },
      { kind: "normal-early", runAt: "2020-01-01T00:00:00Z" },
    ]);
    expect(await kindsOf()).toEqual(["normal-early", "critical", "normal-1", "normal-2", "background"]);

    await gateway.queues.update(NAMESPACE, "q", { agingMs: 1000 });
    const due = (secondsAgo: number) => new Date(Date.now() - secondsAgo * 1000).toISOString();
    await gateway.enqueueBatch([
      { kind: "critical", priority: "CRITICAL", runAt: due(10) },
      { kind: "high-not-yet", priority: "HIGH", runAt: due(10.5) },
      { kind: "background-waited", priority: "BACKGROUND", runAt: due(15) },
    ]);
    expect(await kindsOf()).toEqual(["background-waited", "critical", "high-not-yet"]);
  });

  test("a task needs all of its capabilities, the worker's registered ones count, and others do not block the way", async () => {
    await gateway.enqueueBatch([
      { kind: "both", requiredCapabilities: ["gpu", "eu"], priority: "CRITICAL" },
      { kind: "gpu", requiredCapabilities: ["gpu"] },
      { kind: "plain", priority: "LOW" },
    ]);
    expect((await gateway.lease({ capabilities: ["eu"], maxTasks: 9 })).map(({ kind }) => kind)).toEqual(["plain"]);
    await gateway.workers.register({
      namespace: NAMESPACE,
      workerId: "worker",
      queues: [],
      capabilities: ["gpu"],
      metadata: {},
      ttlMs: 60_000,
    });
    expect(await kindsOf(1)).toEqual(["gpu"]);
    expect((await gateway.lease({ capabilities: ["eu"] })).map(({ kind }) => kind)).toEqual(["both"]);
  });

  test("a scheduled task is not leased before its time", async () => {
    const task = await gateway.enqueue({ runAt: new Date(Date.now() + 60_000).toISOString() });
    expect(task.state).toBe("SCHEDULED");
    expect(await kindsOf()).toEqual([]);
  });

  test("list filters by everything it offers, and its pages hold each task once", async () => {
    const ids = await gateway.enqueueBatch(
      Array.from({ length: 7 }, (_, index) => ({
        kind: index % 2 ? "odd" : "even",
        labels: index < 3 ? { team: "a", tier: String(index) } : {},
      })),
    );
    const other = await gateway.enqueue({}, "other");
    const [leased] = await gateway.lease({ workerId: "w1" });
    const list = async (filter: object) =>
      (
        await gateway.tasks.list(NAMESPACE, { labels: {}, ...filter }, { pageSize: 100, pageToken: undefined })
      ).tasks.map(({ taskId }) => taskId);

    expect(await list({ queue: "other" })).toEqual([other.taskId]);
    expect(await list({ kind: "odd" })).toEqual([ids[5], ids[3], ids[1]]);
    expect(await list({ labels: { team: "a" } })).toEqual([ids[2], ids[1], ids[0]]);
    expect(await list({ labels: { team: "a", tier: "1" } })).toEqual([ids[1]]);
    expect(await list({ states: ["LEASED"] })).toEqual([leased!.taskId]);
    expect(await list({ states: ["LEASED", "COMPLETED"], workerId: "w1" })).toEqual([leased!.taskId]);
    expect(await list({ workerId: "w2" })).toEqual([]);
    expect(await list({ createdAfter: other.createdAt, queue: "other" })).toEqual([other.taskId]);
    expect(await list({ createdBefore: "2020-01-01T00:00:00Z" })).toEqual([]);

    const pages: string[] = [];
    let pageToken: string | undefined;
    do {
      const page = await gateway.tasks.list(NAMESPACE, { labels: {}, queue: "q" }, { pageSize: 3, pageToken });
      expect(page.tasks.length).toBeLessThanOrEqual(3);
      pages.push(...page.tasks.map(({ taskId }) => taskId));
      pageToken = page.nextPageToken;
    } while (pageToken !== undefined);
    expect(pages).toEqual([...ids].reverse());
  });

  test("a made-up page token is refused, whatever is in it", async () => {
    const forged = (operation: string, place: unknown) =>
      createPageTokens(z.unknown(), [operation, NAMESPACE]).encode(place);
    const refused = { code: "INVALID_ARGUMENT", message: expect.stringContaining("must come from an earlier answer") };
    for (const list of ["queues", "workers"] as const) {
      const page = { pageSize: 1, pageToken: forged(`${list}.list`, { after: "\u0000" }) };
      await expect(gateway[list].list(NAMESPACE, page)).rejects.toMatchObject(refused);
    }
    const cursor = forged("tasks.watch", { xid: "99999999999999999999", id: 1 });
    const watching = gateway.watch({ namespace: NAMESPACE, types: [], cursor }, callWith())[Symbol.asyncIterator]();
    await expect(watching.next()).rejects.toMatchObject(refused);
  });

  test("a paused queue gives nothing, and gives again when it is resumed", async () => {
    await gateway.enqueue();
    await gateway.queues.setPaused(NAMESPACE, "q", true, "repairs");
    expect(await kindsOf()).toEqual([]);
    expect(await gateway.queues.get(NAMESPACE, "q")).toMatchObject({ paused: true, pauseReason: "repairs" });
    await gateway.enqueue();
    await gateway.queues.setPaused(NAMESPACE, "q", false, undefined);
    expect(await kindsOf()).toHaveLength(2);
    await expect(gateway.queues.setPaused(NAMESPACE, "none", true, undefined)).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
  });

  const leaseByMany = async (quotas = {}) =>
    (
      await Promise.all(
        Array.from({ length: 12 }, (_, index) =>
          gateway.lease({ workerId: `w${index}`, maxTasks: 2 }, callWith(quotas)),
        ),
      )
    ).flat();

  test("maxConcurrency is never passed, whoever asks, and a completion makes room", async () => {
    await gateway.queues.update(NAMESPACE, "q", { maxConcurrency: 5 });
    await gateway.enqueueBatch(Array.from({ length: 30 }, () => ({})));
    const leased = await leaseByMany();
    expect(leased).toHaveLength(5);
    await gateway.executions.complete(held(leased[0]!));
    expect(await leaseByMany()).toHaveLength(1);
    await gateway.queues.update(NAMESPACE, "q", { maxConcurrency: null });
    expect(await gateway.lease({ maxTasks: 100 })).toHaveLength(24);
  });

  test("the namespace's maxConcurrentExecutions is never passed, whoever asks", async () => {
    await gateway.enqueueBatch(Array.from({ length: 30 }, () => ({})));
    expect(await leaseByMany({ maxConcurrentExecutions: 7 })).toHaveLength(7);
    expect(await leaseByMany({ maxConcurrentExecutions: 7 })).toHaveLength(0);
  });

  test("maxConcurrencyPerKey holds for each key, and many blocked tasks do not hide a free key behind them", async () => {
    await gateway.queues.update(NAMESPACE, "q", { maxConcurrencyPerKey: 2 });
    await gateway.enqueueBatch(Array.from({ length: 300 }, () => ({ concurrencyKey: "busy" })));
    await gateway.enqueueBatch(
      Array.from({ length: 120 }, (_, index) => ({ concurrencyKey: `busy-${Math.floor(index / 4)}` })),
    );
    await gateway.enqueueBatch([{ concurrencyKey: "free" }, { kind: "keyless" }]);
    const counts = Map.groupBy(await leaseByMany(), (task) => task.concurrencyKey);
    expect(counts.get("busy")).toHaveLength(2);
    const rest = await gateway.lease({ maxTasks: 500 });
    expect(rest.filter(({ concurrencyKey }) => concurrencyKey === "busy")).toEqual([]);
    expect(rest.map(({ concurrencyKey }) => concurrencyKey)).toContain("free");
    expect(rest.map(({ kind }) => kind)).toContain("keyless");
    const all = Map.groupBy([...counts.values()].flat().concat(rest), (task) => task.concurrencyKey ?? "");
    for (const [key, tasks] of all) if (key !== "") expect(tasks.length, key).toBe(key === "free" ? 1 : 2);
  });

  const enqueueByMany = async (count: number, batch: readonly TaskInput[], quotas: object) => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: count }, () => gateway.enqueueBatch(batch, "q", quotas)),
    );
    for (const outcome of outcomes)
      if (outcome.status === "rejected")
        expect(outcome.reason).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "QUOTA_EXCEEDED" });
    return outcomes.filter(({ status }) => status === "fulfilled").length;
  };

  test("maxQueueDepth is never passed, by small or by big enqueues at once", async () => {
    expect(await enqueueByMany(30, [{}], { maxQueueDepth: 9 })).toBe(9);
    await gateway.lease({ maxTasks: 100 });
    expect(await enqueueByMany(10, Array(1000).fill({}), { maxQueueDepth: 4500 })).toBe(4);
  });

  test("maxStorageMb is never passed by enqueues at once", async () => {
    const big = { payload: "x".repeat(250_000) };
    expect(await enqueueByMany(12, [big], { maxStorageMb: 1 })).toBe(4);
  });
});
