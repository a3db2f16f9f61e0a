import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../../test/support/eventually.ts";
import {
  createTestDatabase,
  type PostgresServer,
  startPostgres,
  type TestDatabase,
} from "../../../test/support/postgres.ts";
import { createPostgresDatabase } from "./postgres-database.ts";

const unavailable = expect.objectContaining({
  code: "UNAVAILABLE",
  reason: "DATABASE_UNAVAILABLE",
  retryAfterMs: expect.any(Number),
});

describe("a Postgres of this run", () => {
  let place: TestDatabase;
  beforeAll(async () => {
    place = await createTestDatabase();
  });
  afterAll(() => place.drop());

  test("two statements that lock each other out both end well", async () => {
    const database = createPostgresDatabase({ url: place.url });
    try {
      await database.query("CREATE TABLE pair (id int8 PRIMARY KEY, n int8); INSERT INTO pair VALUES (1, 0), (2, 0)");
      let waiting = 0;
      let bothHoldOne: () => void = () => {};
      const both = new Promise<void>((resolve) => {
        bothHoldOne = resolve;
      });
      let attempts = 0;
      const add = (first: number, second: number) =>
        database.transaction(async (transaction) => {
          attempts += 1;
          await transaction.query("UPDATE pair SET n = n + 1 WHERE id = $1", [first]);
          waiting += 1;
          if (waiting === 2) bothHoldOne();
          await both;
          await transaction.query("UPDATE pair SET n = n + 1 WHERE id = $1", [second]);
        });
      await Promise.all([add(1, 2), add(2, 1)]);
      expect((await database.query("SELECT id, n FROM pair ORDER BY id", [])).rows).toEqual([
        { id: 1, n: 2 },
        { id: 2, n: 2 },
      ]);
      expect(attempts).toBeGreaterThan(2);
    } finally {
      await database.close();
    }
  });

  test("a statement that takes too long is ended, and its connection serves on", async () => {
    const database = createPostgresDatabase({ url: place.url, statementTimeoutMs: 50, maxConnections: 1 });
    try {
      await expect(database.query("SELECT pg_sleep(30)", [])).rejects.toMatchObject({
        code: "UNAVAILABLE",
        reason: "DATABASE_BUSY",
      });
      expect((await database.query("SELECT 1 AS one", [])).rows).toEqual([{ one: 1 }]);
    } finally {
      await database.close();
    }
  });

  test("a statement prepared before its table changed works again after one failure", async () => {
    const database = createPostgresDatabase({ url: place.url, maxConnections: 1 });
    try {
      await database.query("CREATE TABLE changing (a int8); INSERT INTO changing VALUES (1)");
      await database.query("SELECT * FROM changing", []);
      await database.query("ALTER TABLE changing ADD b int8");
      await database.query("SELECT * FROM changing", []).catch(() => {});
      expect((await database.query("SELECT * FROM changing", [])).rows).toEqual([{ a: 1, b: null }]);
    } finally {
      await database.close();
    }
  });

  test("tells an observer each text, time and error, and keeps statements prepared", async () => {
    const seen: [string, boolean][] = [];
    const database = createPostgresDatabase({
      url: place.url,
      maxConnections: 1,
      applicationName: "observed",
      onQuery: (text, durationMs, error) => seen.push([text, durationMs >= 0 && error === undefined]),
    });
    try {
      await database.query("SELECT $1::int8 AS n", [1]);
      await database.query("SELECT nonsense", []).catch(() => {});
      expect(seen).toEqual([
        ["SELECT $1::int8 AS n", true],
        ["SELECT nonsense", false],
      ]);
      const prepared = await database.query("SELECT statement FROM pg_prepared_statements WHERE statement LIKE $1", [
        "SELECT $1::int8%",
      ]);
      expect(prepared.rowCount).toBe(1);
      const names = await database.query("SELECT current_setting('application_name') AS name", []);
      expect(names.rows).toEqual([{ name: "observed" }]);
    } finally {
      await database.close();
    }
  });

  test("closing twice is fine, and what comes after is unavailable", async () => {
    const database = createPostgresDatabase({ url: place.url });
    await database.query("SELECT 1", []);
    await Promise.all([database.close(), database.close()]);
    await expect(database.query("SELECT 1", [])).rejects.toEqual(unavailable);
  });
});

describe("a Postgres that dies", () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.stop());

  test("statements fail as unavailable, nothing crashes, and all goes on when it is back", async () => {
    const broken: Error[] = [];
    const database = createPostgresDatabase({ url: server.url, onConnectionError: (error) => broken.push(error) });
    try {
      await database.query("CREATE TABLE kept (id int8)");
      await Promise.all(Array.from({ length: 5 }, (_, id) => database.query("INSERT INTO kept VALUES ($1)", [id])));
      const underWay = database.transaction(async (transaction) => {
        await transaction.query("INSERT INTO kept VALUES ($1)", [99]);
        await server.kill();
        await transaction.query("INSERT INTO kept VALUES ($1)", [100]);
      });
      await expect(underWay).rejects.toEqual(unavailable);
      await expect(database.query("SELECT 1", [])).rejects.toEqual(unavailable);
      await eventually("the idle connections are noticed to be gone", () => broken.length > 0);

      await server.restart();
      await eventually("it answers again", () => database.query("SELECT 1", []).catch(() => undefined));
      expect((await database.query("SELECT count(*) AS count FROM kept", [])).rows).toEqual([{ count: 5 }]);
    } finally {
      await database.close();
    }
  });

  test("a Postgres that is not there at all is unavailable too", async () => {
    const database = createPostgresDatabase({ url: "postgres://nobody@127.0.0.1:1/none" });
    await expect(database.query("SELECT 1", [])).rejects.toEqual(unavailable);
    await expect(database.transaction((transaction) => transaction.query("SELECT 1", []))).rejects.toEqual(unavailable);
    await database.close();
  });
});
