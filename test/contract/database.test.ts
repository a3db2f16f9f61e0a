import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../../src/platform/postgres/database.ts";
import { type Migration, migrate } from "../../src/platform/postgres/migrate.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";

describe.each(databaseEngines)("database on $name", ({ open }) => {
  let engine: OpenEngine;
  let database: Database;

  beforeAll(async () => {
    engine = await open();
    database = engine.database;
  });
  afterAll(() => engine.close());

  test("answers with the same types on every engine", async () => {
    const { rows, rowCount } = await database.query(
      `SELECT $1::int8 AS big, $2::int4 AS small, $3::timestamptz AS at, $4::jsonb AS json, $5::json AS list,
              $6::text[] AS texts, $7::int8[] AS numbers, $8::bool AS yes, $9::text AS nothing, $10::bytea AS bytes,
              $11::float8 AS float, $12::uuid AS id, count(*) AS count, $13::timestamptz[] AS times
         FROM (VALUES (1), (2)) AS v`,
      [
        9_007_199_254_740_991,
        7,
        new Date("2027-01-31T09:30:00.123Z"),
        JSON.stringify({ a: [1, "ü", null] }),
        JSON.stringify([1, { b: true }]),
        ["a", 'quote " and \\ slash', "{,}", ""],
        [1, 2],
        true,
        undefined,
        Buffer.from([0, 1, 255]),
        1.5,
        "0192d2f0-0000-7000-8000-000000000000",
        [new Date(0)],
      ],
    );
    expect(rowCount).toBe(1);
    expect(rows[0]).toEqual({
      big: 9_007_199_254_740_991,
      small: 7,
      at: new Date("2027-01-31T09:30:00.123Z"),
      json: { a: [1, "ü", null] },
      list: [1, { b: true }],
      texts: ["a", 'quote " and \\ slash', "{,}", ""],
      numbers: [1, 2],
      yes: true,
      nothing: null,
      bytes: Buffer.from([0, 1, 255]),
      float: 1.5,
      id: "0192d2f0-0000-7000-8000-000000000000",
      count: 2,
      times: [new Date(0)],
    });
  });

  test("arrays of json and of nullable texts reach unnest unharmed", async () => {
    const { rows } = await database.query(
      "SELECT key, value FROM unnest($1::text[], $2::jsonb[]) AS item(key, value)",
      [
        ["a", null],
        [JSON.stringify({ quote: 'x"\\y', list: [1] }), null],
      ],
    );
    expect(rows).toEqual([
      { key: "a", value: { quote: 'x"\\y', list: [1] } },
      { key: null, value: null },
    ]);
  });

  test("an error carries no values, because it may be logged", async () => {
    await database.query("CREATE TABLE strict_table (id integer PRIMARY KEY, payload text NOT NULL, note text)");
    const refused = await database
      .query("INSERT INTO strict_table (id, note) VALUES ($1, $2)", [1, "confidential"])
      .catch((error: object) => error);
    expect(refused).toMatchObject({ code: "23502" });
    const everything = Object.getOwnPropertyNames(refused).map((name) => String(Reflect.get(refused, name)));
    expect(everything.join()).not.toContain("confidential");
  });

  test("runs several statements at once and answers the last, and counts affected rows", async () => {
    const last = await database.query(
      "CREATE TABLE many (id int8); INSERT INTO many VALUES (1), (2); SELECT 3::int8 AS three",
    );
    expect(last).toMatchObject({ rows: [{ three: 3 }] });
    expect((await database.query("UPDATE many SET id = id + $1", [1])).rowCount).toBe(2);
    expect((await database.query("DELETE FROM many WHERE id = $1 RETURNING id", [2])).rows).toEqual([{ id: 2 }]);
    expect((await database.query("SELECT id FROM many WHERE id = $1", [9])).rowCount).toBe(0);
  });

  test("a transaction is kept whole or not at all", async () => {
    await database.query("CREATE TABLE whole (id int8 PRIMARY KEY)");
    await database.transaction((transaction) => transaction.query("INSERT INTO whole VALUES ($1)", [1]));
    await expect(
      database.transaction(async (transaction) => {
        await transaction.query("INSERT INTO whole VALUES ($1)", [2]);
        throw new Error("changed its mind");
      }),
    ).rejects.toThrowError("changed its mind");
    await expect(
      database.transaction(async (transaction) => {
        await transaction.query("INSERT INTO whole VALUES ($1)", [3]);
        await transaction.query("INSERT INTO whole VALUES ($1)", [1]);
      }),
    ).rejects.toMatchObject({ code: "23505" });
    expect((await database.query("SELECT id FROM whole", [])).rows).toEqual([{ id: 1 }]);
  });

  test("a serialization failure is tried again, five times at most", async () => {
    let attempts = 0;
    const result = await database.transaction(async (transaction) => {
      attempts += 1;
      if (attempts < 3) await transaction.query("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$");
      return "done";
    });
    expect([result, attempts]).toEqual(["done", 3]);
    await expect(
      database.query("DO $$ BEGIN RAISE EXCEPTION 'always' USING ERRCODE = '40P01'; END $$"),
    ).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_BUSY" });
  });
});

describe.each(databaseEngines)("migrations on $name", ({ open }) => {
  let engine: OpenEngine;
  beforeAll(async () => {
    engine = await open();
  });
  afterAll(() => engine.close());

  const first: Migration = {
    id: 1,
    name: "first",
    sql: "CREATE TABLE counted (n int8); INSERT INTO counted VALUES (1);",
  };
  const second: Migration = { id: 2, name: "second", sql: "INSERT INTO counted VALUES (2)" };

  test("each is applied once, however many gateways start at the same time", async () => {
    await Promise.all(Array.from({ length: 4 }, () => migrate(engine.database, [first])));
    await Promise.all(Array.from({ length: 4 }, () => migrate(engine.database, [first, second])));
    expect((await engine.database.query("SELECT n FROM counted ORDER BY n")).rows).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test("a database that a newer gateway migrated is refused", async () => {
    await expect(migrate(engine.database, [first])).rejects.toThrowError(/migration 2 \(second\).*newer gateway/);
  });

  test("a migration that fails leaves nothing behind", async () => {
    const broken: Migration = { id: 3, name: "broken", sql: "INSERT INTO counted VALUES (3); SELECT nonsense" };
    await expect(migrate(engine.database, [first, second, broken])).rejects.toThrowError(/nonsense/);
    expect((await engine.database.query("SELECT n FROM counted WHERE n = 3")).rows).toEqual([]);
  });
});
