import { afterAll, beforeAll, expect, test } from "vitest";
import { databaseEngines, type OpenEngine } from "../../../../test/contract/engines.ts";
import { eventually } from "../../../../test/support/eventually.ts";
import { migrate } from "../../../platform/postgres/migrate.ts";
import { featureMigrations } from "../migrations.ts";
import { packRow } from "../values/packed-row.ts";
import { createPostgresOnlineStore, purgeForgotten } from "./postgres-online-store.ts";

let opened: OpenEngine;

beforeAll(async () => {
  opened = await databaseEngines.find(({ name }) => name === "Postgres")!.open();
  await migrate(opened.database, featureMigrations);
});
afterAll(() => opened.close());

const rowsOf = (count: number, eventTime = 1) =>
  Array.from({ length: count }, (_, index) => ({
    entity: `["user-${index}"]`,
    row: packRow(eventTime, [{ name: "f", type: "DOUBLE" }], [index]),
  }));

async function countRows(datasetId: number): Promise<number> {
  const text = "SELECT count(*) AS count FROM feature_online WHERE dataset_id = $1";
  return (await opened.database.query<{ count: number }>(text, [datasetId])).rows[0]!.count;
}

test("rows whose time has passed are purged in steps, the others stay", async () => {
  const { database } = opened;
  const store = createPostgresOnlineStore(database);
  const forgetAtMs = Date.now() + 200;
  await store.put(
    1,
    rowsOf(25).map((item, index) => ({
      ...item,
      forgetAtMs: index < 10 ? forgetAtMs : index < 20 ? forgetAtMs + 3_600_000 : undefined,
    })),
  );
  expect(await purgeForgotten(database, 100)).toBe(0);
  const gone = async () => (await store.get([{ datasetId: 1, entities: ['["user-0"]'] }]))[0]![0] === undefined;
  await eventually("the rows are forgotten", gone);
  expect(await countRows(1)).toBe(25);
  expect(await purgeForgotten(database, 7)).toBe(7);
  expect(await purgeForgotten(database, 7)).toBe(3);
  expect(await purgeForgotten(database, 7)).toBe(0);
  expect(await countRows(1)).toBe(15);
});

test("a purge leaves alone what is being written anew", async () => {
  const { database } = opened;
  const store = createPostgresOnlineStore(database);
  const forgetAtMs = Date.now() + 100;
  await store.put(
    2,
    rowsOf(2).map((item) => ({ ...item, forgetAtMs })),
  );
  await eventually("the rows are forgotten", async () => {
    const [rows] = await store.get([{ datasetId: 2, entities: ['["user-0"]'] }]);
    return rows![0] === undefined;
  });
  await database.transaction(async (transaction) => {
    await transaction.query("SELECT 1 FROM feature_online WHERE dataset_id = 2 AND entity = $1 FOR UPDATE", [
      '["user-0"]',
    ]);
    expect(await purgeForgotten(database, 100)).toBe(1);
  });
  expect(await countRows(2)).toBe(1);
});

test("a clear takes bounded steps, and ends while others go on writing elsewhere", async () => {
  const { database } = opened;
  const store = createPostgresOnlineStore(database);
  await store.put(3, rowsOf(2_500));
  await store.put(4, rowsOf(10));
  const deleted: number[] = [];
  const counting = createPostgresOnlineStore({
    ...database,
    async query(text, values) {
      const before = await countRows(3);
      const result = await database.query<never>(text, values);
      deleted.push(before - (await countRows(3)));
      return result;
    },
  });
  await counting.clear(3);
  expect(deleted).toEqual([1_000, 1_000, 500, 0]);
  expect(await countRows(4)).toBe(10);
});

test("batches that name the same entities in opposite orders do not block each other for good", async () => {
  const { database } = opened;
  const store = createPostgresOnlineStore(database);
  const before = await deadlocks();
  const rounds = Array.from({ length: 30 }, (_, round) =>
    store.put(5, round % 2 === 0 ? rowsOf(500, round) : rowsOf(500, round).toReversed()),
  );
  await Promise.all(rounds);
  expect(await countRows(5)).toBe(500);
  expect(await deadlocks()).toBe(before);
});

async function deadlocks(): Promise<number> {
  await opened.database.query("SELECT pg_stat_clear_snapshot()", []);
  const text = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
  return (await opened.database.query<{ deadlocks: number }>(text, [])).rows[0]!.deadlocks;
}
