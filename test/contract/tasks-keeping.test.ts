import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../src/platform/postgres/database.ts";
import { deleteEmptyLanes, MAX_LANES } from "../../src/services/tasks/store/lanes.ts";
import { MAX_WALK } from "../../src/services/tasks/store/list.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";
import {
  countBothWays,
  createTasksFixture,
  emptyTasks,
  held,
  migrateTasks,
  NAMESPACE,
  type TasksFixture,
} from "./tasks-fixture.ts";

describe.each(databaseEngines)("what is kept, and for how long, on $name", (engine) => {
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

  const lanes = async () =>
    (await database.query<{ lane: string }>("SELECT lane FROM queue_lanes ORDER BY lane", [])).rows.map(
      ({ lane }) => lane,
    );
  const needing = (...requiredCapabilities: string[]) => ({ requiredCapabilities });

  describe("a set of required capabilities", () => {
    test("is forgotten once nothing that needs it is left to do, and comes back with the next task", async () => {
      const capabilities = ["cancelled", "dead", "done", "later", "ready"];
      const [cancelled] = await gateway.enqueueBatch([needing("cancelled"), needing("ready"), {}]);
      await gateway.enqueue({ ...needing("later"), runAt: new Date(Date.now() + 3_600_000).toISOString() });
      await gateway.enqueueBatch([
        { ...needing("dead"), priority: "CRITICAL" },
        { ...needing("done"), priority: "CRITICAL" },
      ]);
      expect(await deleteEmptyLanes(database, 100)).toBe(0);

      const [dead, done] = await gateway.lease({ capabilities: ["dead", "done"], maxTasks: 2 });
      await gateway.executions.fail({ ...held(dead!), error: { message: "m" }, retryable: false });
      await gateway.executions.complete(held(done!));
      await gateway.tasks.cancel(NAMESPACE, cancelled!, undefined);
      expect(await deleteEmptyLanes(database, 100)).toBe(2);
      expect(await lanes()).toEqual(["", "dead", "later", "ready"]);

      await gateway.tasks.redrive(NAMESPACE, { labels: {} }, 1);
      expect(await gateway.lease({ capabilities, maxTasks: 9 })).toHaveLength(3);
      await gateway.enqueue(needing("done"));
      expect(await gateway.lease({ capabilities })).toHaveLength(1);
    });

    test("is never taken from under an enqueue", async () => {
      let enqueueing = true;
      const cleaning = (async () => {
        while (enqueueing) await deleteEmptyLanes(database, 100);
      })();
      await Promise.all(
        Array.from({ length: 4 }, async (_, index) => {
          for (let round = 0; round < 25; round++) {
            const capability = `c${index}`;
            await gateway.enqueue(needing(capability));
            const [task] = await gateway.lease({ capabilities: [capability] });
            await gateway.executions.complete(held(task!));
          }
        }),
      );
      enqueueing = false;
      await cleaning;
      await deleteEmptyLanes(database, 100);
      expect(await lanes()).toEqual([]);
    });

    test("is refused where a queue has too many of them, however many ask at once", async () => {
      const distinct = (prefix: string, count: number) =>
        Array.from({ length: count }, (_, index) => needing(`${prefix}${index}`));
      const refused = {
        code: "RESOURCE_EXHAUSTED",
        reason: "TOO_MANY_CAPABILITY_SETS",
        details: { fields: [{ field: "requiredCapabilities" }] },
      };
      await gateway.enqueueBatch(distinct("first", MAX_LANES - 10));
      const outcomes = await Promise.allSettled(
        Array.from({ length: 6 }, (_, index) => gateway.enqueueBatch(distinct(`more${index}-`, 4))),
      );
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
      for (const outcome of outcomes) if (outcome.status === "rejected") expect(outcome.reason).toMatchObject(refused);
      expect(await lanes()).toHaveLength(MAX_LANES - 2);
      await expect(gateway.enqueueBatch([{}, ...distinct("last", 3)])).rejects.toMatchObject(refused);
      // Those that are there, and tasks that need nothing, go on; so do other queues.
      await gateway.enqueueBatch([...distinct("first", 3), {}]);
      await gateway.enqueue(needing("elsewhere"), "other");
    });
  });

  describe("what counts towards maxStorageMb", () => {
    const quota = { maxStorageMb: 1 };
    const QUARTER = 256_000;
    const big = "x".repeat(QUARTER);
    const leaseOne = async () => (await gateway.lease())[0]!;
    const isFull = () =>
      expect(gateway.enqueue({ payload: big }, "q", quota)).rejects.toMatchObject({ reason: "QUOTA_EXCEEDED" });

    test("are the details of failures, each as long as it is kept", async () => {
      await gateway.enqueue({ retryPolicy: { maxAttempts: 20, initialBackoffMs: 0 } });
      for (let failure = 0; failure < 4; failure++) {
        const task = await leaseOne();
        await gateway.executions.fail({ ...held(task), error: { message: "m", details: big }, retryable: true });
      }
      await isFull();
      for (let failure = 0; failure < 10; failure++) {
        const task = await leaseOne();
        await gateway.executions.fail({ ...held(task), error: { message: "m" }, retryable: true });
      }
      await gateway.enqueue({ payload: big }, "q", quota);
    });

    test("are results, progress and the messages of failures, to the byte, in every way a task can go", async () => {
      const progress = { percent: 50, message: "m".repeat(900) };
      const ids = await gateway.enqueueBatch(Array.from({ length: 5 }, () => ({ payload: { a: 1 } })));
      const [completed, dead, cancelled, released, redriven] = await gateway.lease({ maxTasks: 5 });
      for (const task of [completed, dead, cancelled, released, redriven])
        await gateway.executions.heartbeat({ ...held(task!), leaseMs: 30_000, progress });
      const error = { message: "m".repeat(500), details: { a: "b" } };
      await gateway.executions.complete({ ...held(completed!), result: { vectors: 12 } });
      await gateway.executions.fail({ ...held(dead!), error, retryable: false });
      await gateway.tasks.cancel(NAMESPACE, cancelled!.taskId, undefined);
      await gateway.executions.release({ ...held(released!), delayMs: 0 });
      await gateway.executions.fail({ ...held(redriven!), error, retryable: false });
      await gateway.tasks.redrive(NAMESPACE, { labels: {}, taskId: redriven!.taskId }, 1);

      const { rows } = await database.query<{ id: string; state: string; size: number; stored: number }>(
        `SELECT id, state, size_bytes AS size, octet_length(payload::text) + coalesce(octet_length(result::text), 0)
           + coalesce(octet_length(progress::text), 0) + octet_length(failures::text) - 2 AS stored
         FROM tasks ORDER BY id`,
        [],
      );
      expect(rows.map(({ id }) => id)).toEqual(ids);
      for (const { state, size, stored } of rows) expect(size, state).toBe(stored);
      // What is told of an attempt is of no interest to the next one.
      const [again] = await gateway.lease();
      expect(again).toMatchObject({ attempt: 1, progress: undefined });
    });
  });

  describe("however many tasks there are", () => {
    /** So many finished tasks, the newest last, with a few that wait among the oldest. */
    const fill = async (count: number) => {
      await database.query(
        `INSERT INTO tasks (namespace, id, queue, lane, kind, state, priority, run_at, order_at, finished_at, size_bytes, max_attempts,
           initial_backoff_ms, max_backoff_ms, backoff_multiplier, backoff_jitter, required_capabilities)
         SELECT $1, ('00000000-0000-7000-8000-' || lpad(to_hex(x), 12, '0'))::uuid, CASE WHEN x % 5000 = 7 THEN 'rare' ELSE 'q' END, '',
           CASE WHEN x = 3 THEN 'needle' ELSE 'hay' END, CASE WHEN x <= 5 THEN 'READY' ELSE 'COMPLETED' END::task_state, 2,
           now() - x * interval '1 second', now(), CASE WHEN x > 5 THEN now() END, 0, 5, 0, 0, 1, 0, '{}'
         FROM generate_series(1, $2::int) AS x`,
        [NAMESPACE, count],
      );
      await database.query("ANALYZE tasks", []);
    };
    const list = (filter: object, pageToken?: string) =>
      gateway.tasks.list(NAMESPACE, { labels: {}, ...filter }, { pageSize: 2, pageToken });
    afterEach(() => database.query("TRUNCATE tasks", []));

    test("a page looks at so many and no more, and the pages together hold everything", async () => {
      await fill(2 * MAX_WALK + 500);
      const sizes: number[] = [];
      let page = await list({ kind: "needle" });
      sizes.push(page.tasks.length);
      while (page.nextPageToken !== undefined) {
        page = await list({ kind: "needle" }, page.nextPageToken);
        sizes.push(page.tasks.length);
      }
      expect(sizes).toEqual([0, 0, 1]);
      // A queue, and a state that tasks only pass through, are found at once.
      const rare = await list({ queue: "rare" });
      expect(rare.tasks).toHaveLength(2);
      const ready = await list({ states: ["READY"], kind: "needle" });
      expect(ready).toMatchObject({ tasks: [{ kind: "needle" }], nextPageToken: undefined });
      const pages = [await list({ states: ["READY"] })];
      while (pages.at(-1)!.nextPageToken !== undefined)
        pages.push(await list({ states: ["READY"] }, pages.at(-1)!.nextPageToken));
      expect(pages.map(({ tasks }) => tasks.length)).toEqual([2, 2, 1]);
      const edge = await gateway.tasks.listOfQueues(NAMESPACE, ["rare", "q"], [], 3);
      expect(edge.map(({ queue }) => queue)).toEqual(["rare", "rare", "rare", "q", "q", "q"]);
    });

    test("the age of the oldest that waits is read from an index", async () => {
      await fill(20_000);
      await gateway.queues.update(NAMESPACE, "q", {});
      const texts: [string, readonly unknown[]][] = [];
      const spying: Database = {
        ...database,
        engine: database.engine,
        query: (text, values) => {
          if (text.includes("age_ms") && text.includes("tasks")) texts.push([text, values ?? []]);
          return database.query(text, values);
        },
      };
      const { oldestReadyAgeMs } = await createTasksFixture(spying).then(({ queues }) => queues.stats(NAMESPACE, "q"));
      expect(oldestReadyAgeMs).toBeGreaterThanOrEqual(5_000);
      expect(oldestReadyAgeMs).toBeLessThan(60_000);
      const [[text, values]] = texts as [[string, readonly unknown[]]];
      const plan = await database.query<{ "QUERY PLAN": string }>(`EXPLAIN ${text}`, values);
      const lines = plan.rows.map((row) => row["QUERY PLAN"]).join("\n");
      expect(lines).toContain("tasks_waiting");
      expect(lines).not.toContain("Sort");
    });
  });
});
