import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { AppError } from "../../src/core/errors.ts";
import { createPageTokens } from "../../src/core/page.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import type { WatchTasksResponse } from "../../src/services/tasks/task-model.ts";
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

/** Reads `count` events, beginning after `cursor`, and leaves. */
async function readEvents(gateway: TasksFixture, cursor: string, count: number): Promise<WatchTasksResponse[]> {
  const seen: WatchTasksResponse[] = [];
  for await (const message of gateway.watch({ namespace: NAMESPACE, types: [], cursor }, callWith())) {
    seen.push(message);
    if (seen.length >= count) break;
  }
  return seen;
}

const cursors = createPageTokens(z.object({ xid: z.string(), id: z.int() }), ["tasks.watch", NAMESPACE]);
const cursorAt = (xid: string) => cursors.encode({ xid, id: 0 });

describe.each(databaseEngines)("the feed on $name", (engine) => {
  let open: OpenEngine;
  let database: Database;
  let gateway: TasksFixture;
  beforeAll(async () => {
    open = await engine.open();
    database = open.database;
    await migrateTasks(database);
    gateway = await createTasksFixture(database);
  });
  beforeEach(() => emptyTasks(database));
  afterAll(async () => {
    await gateway.close();
    await open.close();
  });

  test("goes by transaction number, not by its text, so that 100 comes after 99", async () => {
    const insert = `INSERT INTO task_events (namespace, xid, task_ids, queue, kind, type, state, attempts, fences)
      SELECT '${NAMESPACE}', x::text::xid8, ARRAY[gen_random_uuid()], 'q', x::text, 'ENQUEUED', 'READY', '{0}', '{0}' FROM generate_series(95, 104) x`;
    await database.query(insert, []);
    const seen = await readEvents(gateway, cursorAt("3"), 10);
    expect(seen.map(({ event }) => event?.kind)).toEqual(Array.from({ length: 10 }, (_, index) => String(95 + index)));
  });

  test("goes on within what one statement did", async () => {
    const ids = await gateway.enqueueBatch([{}, {}, { kind: "other" }, {}]);
    const seen: WatchTasksResponse[] = [];
    for (let cursor = cursorAt("3"); seen.length < ids.length; cursor = seen.at(-1)!.cursor) {
      seen.push(...(await readEvents(gateway, cursor, 1)));
    }
    expect(seen.map(({ event }) => event?.taskId).sort()).toEqual(ids);
    const [first, , third] = seen;
    const watching = { namespace: NAMESPACE, types: [], cursor: first!.cursor, taskId: third!.event!.taskId };
    for await (const { event } of gateway.watch(watching, callWith())) {
      expect(event).toEqual(third!.event);
      break;
    }
  });

  test("refuses a cursor before what was deleted for its age", async () => {
    // Of two events of one row the first has been seen.
    await gateway.enqueueBatch([{}, {}]);
    const [first] = await readEvents(gateway, cursorAt("3"), 1);
    const forgetful = await createTasksFixture(database, { eventRetentionMs: 0 });
    await forgetful.start();
    await expect.poll(async () => (await database.query("SELECT 1 FROM task_events LIMIT 1", [])).rowCount).toBe(0);
    await forgetful.close();
    await expect(readEvents(gateway, first!.cursor, 1)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "CURSOR_EXPIRED",
    });
  });

  test("refuses a cursor that no transaction has reached, as after the restore of an older database", async () => {
    const ahead = readEvents(gateway, cursorAt("9999999999999999999"), 1);
    await expect(ahead).rejects.toMatchObject({ code: "FAILED_PRECONDITION", reason: "CURSOR_EXPIRED" });
  });
});

describe("many at once on Postgres", () => {
  let open: OpenEngine;
  let database: Database;
  let gateway: TasksFixture;
  beforeAll(async () => {
    open = await databaseEngines[1]!.open();
    database = open.database;
    await migrateTasks(database);
  });
  beforeEach(async () => {
    await emptyTasks(database);
    gateway = await createTasksFixture(database);
  });
  afterAll(() => open.close());

  test("a watch without a cursor says at once where it begins, and nothing after that is missed", async () => {
    await gateway.enqueue({ kind: "before" });
    const watching = gateway.watch({ namespace: NAMESPACE, types: [] }, callWith())[Symbol.asyncIterator]();
    const { value: first } = await watching.next();
    expect(first).toEqual({ cursor: expect.any(String) });
    await watching.return?.(undefined);
    const { taskId } = await gateway.enqueue({ kind: "after" });
    // What had just happened may be told again, because older transactions still ran.
    const [before, after] = await readEvents(gateway, first.cursor, 1).then(async ([one]) =>
      one!.event!.taskId === taskId ? [undefined, one] : [one, (await readEvents(gateway, one!.cursor, 1))[0]],
    );
    expect(before?.event?.kind ?? "before").toBe("before");
    expect(after?.event).toMatchObject({ taskId, kind: "after" });
  });

  test("a watcher that resumes again and again sees each event once, however late transactions commit", async () => {
    const enqueueLate = async (after: Promise<unknown>) =>
      database.transaction(async (transaction) => {
        await transaction.query(
          `INSERT INTO task_events (namespace, task_ids, queue, kind, type, state, attempts, fences)
           VALUES ($1, ARRAY[gen_random_uuid()], 'q', 'late', 'ENQUEUED', 'READY', '{0}', '{0}')`,
          [NAMESPACE],
        );
        await after;
      });
    const watched: WatchTasksResponse[] = [];
    const writing = Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let round = 0; round < 15; round++) {
          const { promise, resolve } = Promise.withResolvers<void>();
          const late = enqueueLate(promise);
          await gateway.enqueueBatch([{}, {}, {}]);
          resolve();
          await late;
        }
      }),
    );
    const expected = 4 * 15 * 4;
    for (let cursor = cursorAt("3"); watched.length < expected; ) {
      const part = await readEvents(gateway, cursor, Math.min(7, expected - watched.length));
      watched.push(...part);
      cursor = part.at(-1)!.cursor;
    }
    await writing;
    expect(new Set(watched.map(({ event }) => event?.taskId)).size).toBe(expected);
    await gateway.close();
  });

  test("sixteen workers in each other's way: every count agrees and nothing ends twice", async () => {
    await gateway.start();
    const errors: unknown[] = [];
    const until = performance.now() + 3_000;
    const loop = async (seed: number) => {
      const workerId = `w${seed}`;
      for (let round = 0; performance.now() < until; round++) {
        await gateway.enqueueBatch(
          Array.from({ length: 12 }, (_, index) => ({
            priority: index < 6 || index % 2 ? "HIGH" : "LOW",
            ...(index < 6 ? { idempotencyKey: `${seed % 2}-${round % 40}-${seed % 4 < 2 ? index : 5 - index}` } : {}),
            retryPolicy: { initialBackoffMs: 0, maxAttempts: 2 },
          })),
          `q${seed % 2}`,
        );
        const leased = await gateway.lease({
          queue: "q0",
          additionalQueues: ["q1"],
          workerId,
          maxTasks: 20,
          leaseMs: round % 5 === 0 ? 100 : 30_000,
        });
        const shared = leased.toReversed();
        const settle = [
          gateway.executions.batchComplete(NAMESPACE, shared.slice(0, 12).map(held)),
          gateway.executions.batchComplete(NAMESPACE, leased.slice(-12).map(held)),
          ...shared.slice(10, 13).map((task) => gateway.executions.release({ ...held(task), delayMs: 0 })),
          ...shared
            .slice(12, 16)
            .map((task) =>
              gateway.executions.fail({ ...held(task), error: { message: "no" }, retryable: round % 2 === 0 }),
            ),
          ...shared.slice(15, 17).map((task) => gateway.tasks.cancel(NAMESPACE, task.taskId, undefined)),
        ];
        for (const outcome of await Promise.allSettled(settle))
          if (outcome.status === "rejected") errors.push(outcome.reason);
      }
    };
    await Promise.all(Array.from({ length: 16 }, (_, seed) => loop(seed)));
    await gateway.close();

    const reasons = new Set(errors.map((error) => (error instanceof AppError ? error.reason : error)));
    expect([...reasons].filter((reason) => reason !== "LEASE_LOST" && reason !== "TASK_FINAL")).toEqual([]);
    const { counters, rows } = await countBothWays(database);
    expect(counters).toEqual(rows);
    const { rows: twice } = await database.query(
      `SELECT task_id FROM task_events CROSS JOIN unnest(task_ids) AS task_id WHERE type IN ('COMPLETED', 'CANCELLED', 'DEAD_LETTERED') GROUP BY task_id HAVING count(*) > 1`,
      [],
    );
    expect(twice).toEqual([]);
    const { rows: ended } = await database.query(
      `SELECT t.state, count(*) AS tasks, count(e.type) AS told FROM tasks t
       LEFT JOIN task_events e ON t.id = ANY(e.task_ids) AND e.type = t.state::text
       WHERE t.state IN ('COMPLETED', 'CANCELLED', 'DEAD_LETTERED') GROUP BY t.state`,
      [],
    );
    expect(ended.length).toBeGreaterThan(1);
    for (const { tasks, told } of ended) expect(told).toBe(tasks);
  });
});
