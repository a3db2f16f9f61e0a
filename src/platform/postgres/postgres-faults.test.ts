import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type CuttingProxy, startCuttingProxy } from "../../../test/support/cutting-proxy.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { createTestDatabase, type TestDatabase } from "../../../test/support/postgres.ts";
import { createPostgresDatabase, type PostgresDatabase } from "./postgres-database.ts";

let place: TestDatabase;
let other: pg.Client;

beforeAll(async () => {
  place = await createTestDatabase();
  other = new pg.Client({ connectionString: place.url });
  await other.connect();
});
afterAll(async () => {
  await other.end();
  await place.drop();
});

describe("a table that somebody has locked", () => {
  const insert = "INSERT INTO jammed VALUES ($1)";
  const update = "UPDATE jammed SET id = id WHERE id = $1";

  beforeEach(async () => {
    await other.query("ROLLBACK; DROP TABLE IF EXISTS jammed; CREATE TABLE jammed (id int8)");
    await other.query("BEGIN; LOCK TABLE jammed");
  });

  async function withDatabase(options: object, use: (database: PostgresDatabase) => Promise<void>): Promise<void> {
    const database = createPostgresDatabase({ url: place.url, maxConnections: 10, ...options });
    try {
      await use(database);
    } finally {
      await other.query("ROLLBACK");
      await database.close();
    }
  }

  const waitingForLocks = async () =>
    Number(
      (await other.query("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'")).rows[0].count,
    );

  test("keeps other statements and transactions waiting for nothing", () =>
    withDatabase({}, async (database) => {
      const jam = Array.from({ length: 30 }, (_, id) => database.query(insert, [id]));
      await eventually("they wait for the lock", async () => (await waitingForLocks()) === 6);
      expect((await database.query("SELECT 1 AS one", [])).rows).toEqual([{ one: 1 }]);
      const answer = await database.transaction((transaction) => transaction.query("SELECT 2 AS two", []));
      expect(answer.rows).toEqual([{ two: 2 }]);
      await other.query("ROLLBACK");
      await Promise.all(jam);
      expect((await database.query("SELECT count(*) AS count FROM jammed", [])).rows).toEqual([{ count: 30 }]);
    }));

  test("leaves the reserved connections alone, however many kinds of statement wait", () =>
    withDatabase({}, async (database) => {
      const jam = [insert, update].flatMap((text) => Array.from({ length: 20 }, () => database.query(text, [1])));
      const transactions = Array.from({ length: 10 }, () =>
        database.transaction((transaction) => transaction.query("DELETE FROM jammed WHERE id = $1", [0])),
      );
      await eventually("they wait for the lock", async () => (await waitingForLocks()) === 8);
      expect((await database.reserved.query("SELECT 1 AS one", [])).rows).toEqual([{ one: 1 }]);
      await other.query("ROLLBACK");
      await Promise.all([...jam, ...transactions]);
    }));

  test("ends statements, and those in line, as too busy", () =>
    withDatabase({ lockTimeoutMs: 100, connectTimeoutMs: 150 }, async (database) => {
      const jam = await Promise.allSettled(Array.from({ length: 30 }, (_, id) => database.query(insert, [id])));
      for (const outcome of jam)
        expect(outcome).toMatchObject({ reason: { code: "UNAVAILABLE", reason: "DATABASE_BUSY" } });
      expect(await waitingForLocks()).toBe(0);
      await other.query("ROLLBACK");
      expect((await database.query(insert, [1])).rowCount).toBe(1);
    }));
});

test("a server that takes no changes is left: the next statement looks for one that does", async () => {
  const database = createPostgresDatabase({ url: place.url, maxConnections: 1 });
  try {
    await database.query("CREATE TABLE written (id int8); SET default_transaction_read_only = on");
    const write = () => database.query("INSERT INTO written VALUES ($1)", [1]);
    await expect(write()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "DATABASE_READ_ONLY",
      retryAfterMs: expect.any(Number),
    });
    expect((await write()).rowCount).toBe(1);
  } finally {
    await database.close();
  }
});

describe("a connection that is lost before Postgres has answered", () => {
  let proxy: CuttingProxy;
  let database: PostgresDatabase;
  const insert = "INSERT INTO lost VALUES ($1)";
  const unknown = { code: "UNAVAILABLE", reason: "OUTCOME_UNKNOWN", retryAfterMs: undefined };
  const unavailable = { code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" };
  const isStored = async (id: number) =>
    eventually("it is stored", async () => (await other.query("SELECT FROM lost WHERE id = $1", [id])).rowCount === 1);

  beforeAll(async () => {
    const url = new URL(place.url);
    proxy = await startCuttingProxy(Number(url.port));
    url.port = String(proxy.port);
    database = createPostgresDatabase({ url: url.href });
    await database.query("CREATE TABLE lost (id int8)");
  });
  afterAll(async () => {
    await database.close();
    await proxy.stop();
  });

  test("leaves open whether a change was made", async () => {
    proxy.cutAnswerTo("INSERT INTO lost");
    await expect(database.query(insert, [1])).rejects.toMatchObject(unknown);
    await isStored(1);
    proxy.cutAnswerTo("COMMIT");
    await expect(database.transaction((transaction) => transaction.query(insert, [2]))).rejects.toMatchObject(unknown);
    await isStored(2);
  });

  test("leaves nothing open where nothing was changed", async () => {
    proxy.cutAnswerTo("SELECT id");
    await expect(database.query("SELECT id FROM lost WHERE id = $1", [1])).rejects.toMatchObject(unavailable);
    proxy.cutAnswerTo("INSERT INTO lost");
    await expect(database.transaction((transaction) => transaction.query(insert, [3]))).rejects.toMatchObject(
      unavailable,
    );
    proxy.cutAnswerTo("COMMIT");
    await expect(
      database.transaction((transaction) => transaction.query("SELECT id FROM lost WHERE id = $1", [3])),
    ).rejects.toMatchObject(unavailable);
    expect((await database.query("SELECT id FROM lost WHERE id = $1", [3])).rows).toEqual([]);
  });
});
