import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createDuckdb, type Duckdb } from "../../src/platform/duckdb/duckdb.ts";
import { quotePath, quoteText } from "../../src/platform/duckdb/sql-text.ts";
import type { PointInTimeChunk, PointInTimeRequest } from "../../src/services/features/offline/offline-store.ts";
import { FEATURE_TYPES, type StoredValue } from "../../src/services/features/values/feature-type.ts";
import { type Micros, microsFromText } from "../../src/services/features/values/micros.ts";
import { databaseEngines } from "./engines.ts";
import { type OfflineFixture, openOffline } from "./feature-offline-fixture.ts";

const TIME: Micros = microsFromText("2027-01-31T09:30:00.000001Z")!;

const SAMPLES: Record<(typeof FEATURE_TYPES)[number], StoredValue> = {
  BOOL: true,
  INT64: -Number.MAX_SAFE_INTEGER,
  DOUBLE: -1.5e-300,
  STRING: "it's “quoted”, 漢字, \\ and \n",
  BYTES: Buffer.from([0, 255, 39, 92]),
  TIMESTAMP: TIME,
  JSON: '{"a":[1,null,"x"]}',
  BOOL_LIST: [true, false],
  INT64_LIST: [Number.MAX_SAFE_INTEGER, -1],
  DOUBLE_LIST: [0.1, -0.5],
  STRING_LIST: ["", "'", "b"],
  TIMESTAMP_LIST: [TIME, 0],
  VECTOR: Float32Array.from([0.1, -2, 3]),
};

describe("files of the offline store", () => {
  let fixture: OfflineFixture;
  let duckdb: Duckdb;
  beforeAll(async () => {
    fixture = await openOffline(databaseEngines[0]!);
    await mkdir(fixture.dataDir, { recursive: true });
    duckdb = createDuckdb({ dataDir: fixture.dataDir });
  });
  afterAll(async () => {
    await duckdb.close();
    await fixture.close();
  });

  const collect = async (request: PointInTimeRequest) => {
    const chunks: PointInTimeChunk[] = [];
    for await (const chunk of fixture.store.pointInTime(request)) chunks.push(chunk);
    return chunks;
  };
  const query = (sql: string) => duckdb.use((session) => session.rows(sql));
  const inFolder = (name: string) => join(fixture.dataDir, name);

  it("keeps values of every type as they were, in the log and in a file", async () => {
    const features = FEATURE_TYPES.map((type) => ({
      name: `a_${type}`,
      type,
      ...(type === "VECTOR" && { dimension: 3 }),
    }));
    const dataset = fixture.newDataset({ features });
    const values = FEATURE_TYPES.map((type) => SAMPLES[type]);
    await fixture.write(dataset, [
      { keys: ["full"], eventTime: TIME, values },
      { keys: ["none"], eventTime: TIME, values: [] },
      { keys: ["short"], eventTime: TIME, values: FEATURE_TYPES.map((type) => (type.endsWith("LIST") ? [] : null)) },
    ]);
    const names = features.map(({ name }) => name);
    const read = async () => {
      const page = await fixture.store.latest(dataset, { features: names, limit: 10 });
      return page.entities.map((keys, row) => [...keys, ...page.columns.map((column) => column.values[row]!)]);
    };
    const fromLog = await read();
    expect(fromLog).toEqual([
      ["full", ...values],
      ["none", ...FEATURE_TYPES.map(() => null)],
      ["short", ...FEATURE_TYPES.map((type) => (type.endsWith("LIST") ? [] : null))],
    ]);
    await fixture.store.flushOnce(dataset);
    expect(await read()).toEqual(fromLog);
  });

  it("writes files that any reader of Parquet understands: own names, natural types, sorted by entity", async () => {
    const dataset = fixture.newDataset({
      group: "plain",
      entityKeys: [
        { name: "user", type: "STRING" },
        { name: "device", type: "INT64" },
      ],
      features: [
        { name: "clicks", type: "INT64" },
        { name: "seen", type: "TIMESTAMP" },
        { name: "embedding", type: "VECTOR", dimension: 2 },
      ],
    });
    const values = [7, TIME, Float32Array.from([1, 2])];
    await fixture.write(dataset, [
      { keys: ["b", 1], eventTime: TIME, values },
      { keys: ["a", 2], eventTime: TIME, values },
    ]);
    await fixture.store.flushOnce(dataset);
    const { rows } = await fixture.database.query<{ path: string }>(
      "SELECT path FROM feature_files WHERE dataset_id = $1",
      [dataset.datasetId],
    );
    expect(rows[0]!.path).toMatch(
      new RegExp(`^groups/default/plain/v1-${dataset.datasetId}/day=2027-01-31/[0-9a-f-]{36}\\.parquet$`),
    );
    const file = `read_parquet(${quotePath(inFolder(rows[0]!.path))}, hive_partitioning = false)`;
    expect(await query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${file})`)).toEqual([
      ["user", "VARCHAR"],
      ["device", "BIGINT"],
      ["clicks", "BIGINT"],
      ["seen", "TIMESTAMP"],
      ["embedding", "FLOAT[]"],
      ["event_time", "TIMESTAMP"],
      ["created_at", "TIMESTAMP"],
      ["write_sequence", "BIGINT"],
    ]);
    expect(await query(`SELECT "user", CAST(event_time AS VARCHAR) FROM ${file}`)).toEqual([
      ["a", "2027-01-31 09:30:00.000001"],
      ["b", "2027-01-31 09:30:00.000001"],
    ]);
    expect(
      await query(`SELECT DISTINCT compression FROM parquet_metadata(${quotePath(inFolder(rows[0]!.path))})`),
    ).toEqual([["ZSTD"]]);
  });

  describe("with entity rows from a file", () => {
    const users = () => fixture.newDataset({ entityKeys: [{ name: "user", type: "INT64" }] });

    it("reads Parquet and CSV with zones, offsets and missing keys, and hands all columns through", async () => {
      const dataset = users();
      await fixture.write(dataset, [{ keys: [7], eventTime: TIME, values: [0.5] }], TIME);
      await query(`COPY (SELECT * FROM (VALUES
          ('x', CAST(7 AS DOUBLE), TIMESTAMPTZ '2027-01-31 10:30:00.000001+01'),
          ('y', CAST('NaN' AS DOUBLE), TIMESTAMPTZ '2027-01-31 10:30:00.000001+01'),
          ('z', 7, TIMESTAMPTZ '2027-01-31 09:30:00+00'), ('x', 7, NULL)) t (label, "user", "when"))
        TO ${quoteText(inFolder("rows.parquet"))} (FORMAT parquet)`);
      await writeFile(
        inFolder("rows.csv"),
        "label,user,when\nx,7,2027-01-31T10:30:00.000001+01:00\ny,,2027-01-31T09:30:00.000001Z\nz,7,2027-01-31T09:30:00Z\nx,7,\n",
      );
      for (const format of ["PARQUET", "CSV"] as const) {
        const request: PointInTimeRequest = {
          entities: { kind: "FILE", format, path: inFolder(`rows.${format.toLowerCase()}`), timeColumn: "when" },
          sources: [{ dataset, features: [{ name: "score", as: "s" }] }],
          knownAt: "ENTITY_TIME",
        };
        const [chunk] = await collect(request);
        expect(chunk!.sources[0]!.columns[0]!.values).toEqual([0.5, null, null, null]);
        for (const target of ["PARQUET", "CSV"] as const) {
          const path = inFolder(`answer-of-${format}.${target}`);
          const done = await fixture.store.exportPointInTime(request, { path, format: target, withStatus: true });
          expect(done.rowCount).toBe(4);
          const file = target === "PARQUET" ? `read_parquet(${quotePath(path)})` : `read_csv(${quotePath(path)})`;
          expect(await query(`SELECT label, s, s__status, users__event_time IS NULL FROM ${file}`)).toEqual([
            ["x", 0.5, "PRESENT", false],
            ["y", null, "NOT_FOUND", true],
            ["z", null, "NOT_FOUND", true],
            ["x", null, "NOT_FOUND", true],
          ]);
        }
      }
    });

    it.each([
      ["a time that is none", "user,when\n7,2027-01-31T09:30:00Z\n7,yesterday\n", "entities[1].when"],
      ["a time without an end", "user,when\n7,infinity\n", "entities[0].when"],
      ["a key that is no whole number", "user,when\n1.5,2027-01-31T09:30:00Z\n", "entities[0].user"],
      ["a key past 2^53", "user,when\n9007199254740993,2027-01-31T09:30:00Z\n", "entities[0].user"],
      ["no column with the key", "users,when\n7,2027-01-31T09:30:00Z\n", "entities.user"],
      ["no column with the time", "user,at\n7,2027-01-31T09:30:00Z\n", "entities.when"],
    ])("names row and column of %s", async (name, content, field) => {
      const path = inFolder(`${name}.csv`);
      await writeFile(path, content);
      const entities = { kind: "FILE", format: "CSV", path, timeColumn: "when" } as const;
      const sources = [{ dataset: users(), features: [{ name: "score" }] }];
      await expect(collect({ entities, sources, knownAt: "LATEST" })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
        details: { fields: [{ field }] },
      });
    });

    it("refuses what is no Parquet file, and a file outside of the data folder", async () => {
      const path = inFolder("not.parquet");
      await writeFile(path, "user,when\n7,2027-01-31T09:30:00Z\n");
      const sources = [{ dataset: users(), features: [{ name: "score" }] }];
      const ask = (at: string) =>
        collect({
          entities: { kind: "FILE", format: "PARQUET", path: at, timeColumn: "when" },
          sources,
          knownAt: "LATEST",
        });
      await expect(ask(path)).rejects.toMatchObject({ code: "INVALID_ARGUMENT", reason: "ENTITY_FILE_UNREADABLE" });
      await expect(ask("/etc/passwd")).rejects.toThrow("leads out of the data folder");
    });

    it("refuses two columns of one name, and leaves no file behind", async () => {
      await writeFile(inFolder("twice.csv"), "user,score,when\n7,1,2027-01-31T09:30:00Z\n");
      const path = inFolder("twice.parquet");
      const request: PointInTimeRequest = {
        entities: { kind: "FILE", format: "CSV", path: inFolder("twice.csv"), timeColumn: "when" },
        sources: [{ dataset: users(), features: [{ name: "score" }] }],
        knownAt: "LATEST",
      };
      await expect(fixture.store.exportPointInTime(request, { path, format: "PARQUET" })).rejects.toMatchObject({
        code: "INVALID_ARGUMENT",
      });
      expect(existsSync(path)).toBe(false);
    });
  });

  it("joins several groups with keys of other names and types, each with its own ttl", async () => {
    const users = fixture.newDataset({ group: "users", entityKeys: [{ name: "user", type: "STRING" }] });
    const shops = fixture.newDataset({ group: "shops", entityKeys: [{ name: "id", type: "INT64" }] });
    await fixture.write(users, [{ keys: ["7"], eventTime: TIME - 10, values: [1] }]);
    await fixture.write(shops, [{ keys: [7], eventTime: TIME - 10, values: [2] }]);
    await fixture.store.flushOnce(shops);
    const request: PointInTimeRequest = {
      entities: { kind: "INLINE", keys: { user: ["7", "8"], shop: [7, 7] }, times: [TIME, TIME - 1] },
      sources: [
        { dataset: users, features: [{ name: "score", as: "user_score" }], ttlMicros: 10 },
        {
          dataset: shops,
          features: [{ name: "score" }, { name: "score", as: "again" }],
          keyColumns: ["shop"],
          ttlMicros: 9,
        },
      ],
      knownAt: "LATEST",
    };
    const [chunk] = await collect(request);
    expect(chunk!.sources.map(({ columns }) => columns.map(({ values }) => values))).toEqual([
      [[1, null]],
      [
        [null, 2],
        [null, 2],
      ],
    ]);
    expect(chunk!.sources[1]!.columns[0]!.statuses).toEqual(["OUTSIDE_MAX_AGE", "PRESENT"]);
    const path = inFolder("several.csv");
    await fixture.store.exportPointInTime(request, { path, format: "CSV" });
    expect(await readFile(path, "utf8")).toBe(
      `user,shop,event_time,user_score,score,again\n7,7,2027-01-31 09:30:00.000001,1.0,,\n8,7,2027-01-31 09:30:00,,2.0,2.0\n`,
    );
  });

  it("keeps the order of many entity rows over chunks, duplicates included", async () => {
    const dataset = fixture.newDataset({ entityKeys: [{ name: "user", type: "INT64" }] });
    const rows = Array.from({ length: 3000 }, (_, user) => ({ keys: [user], eventTime: TIME, values: [user] }));
    await fixture.write(dataset, rows);
    await fixture.store.flushOnce(dataset);
    const asked = Array.from({ length: 10_000 }, (_, row) => (row * 7919) % 3001);
    const chunks = await collect({
      entities: { kind: "INLINE", keys: { user: asked }, times: asked.map(() => TIME) },
      sources: [{ dataset, features: [{ name: "score" }] }],
      knownAt: "LATEST",
    });
    expect(chunks.length).toBeGreaterThan(1);
    expect(chunks.flatMap(({ sources }) => sources[0]!.columns[0]!.values)).toEqual(
      asked.map((user) => (user === 3000 ? null : user)),
    );
  });

  it("ends a join when its caller goes away, and works on", async () => {
    const dataset = fixture.newDataset({ entityKeys: [{ name: "user", type: "INT64" }] });
    const rows = Array.from({ length: 20_000 }, (_, user) => ({
      keys: [user % 10],
      eventTime: TIME + user,
      values: [user],
    }));
    await fixture.write(dataset, rows);
    const aborter = new AbortController();
    const times = rows.map(() => TIME);
    const reading = (async () => {
      const request: PointInTimeRequest = {
        entities: { kind: "INLINE", keys: { user: times.map(() => 1) }, times },
        sources: [{ dataset, features: [{ name: "score" }] }],
        knownAt: "ENTITY_TIME",
      };
      const onProgress = () => aborter.abort(new Error("gone"));
      for await (const _ of fixture.store.pointInTime(request, { signal: aborter.signal, onProgress }));
    })();
    await expect(reading).rejects.toThrow("gone");
    expect((await fixture.store.latest(dataset, { features: [], limit: 100 })).rowCount).toBe(10);
  });

  it("scans the newest rows of all entities within a time range", async () => {
    const dataset = fixture.newDataset();
    await fixture.write(dataset, [
      { keys: ["a"], eventTime: TIME, values: [1] },
      { keys: ["a"], eventTime: TIME + 1, values: [2] },
      { keys: ["b"], eventTime: TIME, values: [3] },
    ]);
    await fixture.store.flushOnce(dataset);
    await fixture.write(dataset, [{ keys: ["b"], eventTime: TIME, values: [4] }]);
    const scan = async (range: { from?: Micros; to?: Micros }) => {
      const found: unknown[] = [];
      for await (const page of fixture.store.scanLatest(dataset, { features: ["score"], ...range })) {
        found.push(...page.entities.map(([user], row) => [user, page.columns[0]!.values[row]]));
      }
      return found.sort();
    };
    expect(await scan({})).toEqual([
      ["a", 2],
      ["b", 4],
    ]);
    expect(await scan({ to: TIME + 1 })).toEqual([
      ["a", 1],
      ["b", 4],
    ]);
    expect(await scan({ from: TIME + 1 })).toEqual([["a", 2]]);
  });

  it("reads the latest values as of a time, with or without what was written later", async () => {
    const dataset = fixture.newDataset();
    await fixture.write(dataset, [{ keys: ["a"], eventTime: TIME, values: [1] }], TIME);
    await fixture.write(dataset, [{ keys: ["a"], eventTime: TIME + 1, values: [2] }], TIME + 100);
    const score = async (asOf: Micros, knownAt: "ENTITY_TIME" | "LATEST", ttlMicros?: number) => {
      const page = await fixture.store.latest(dataset, { features: ["score"], asOf, knownAt, ttlMicros, limit: 1 });
      return [page.columns[0]?.values[0], page.columns[0]?.statuses[0]];
    };
    expect(await score(TIME + 50, "LATEST")).toEqual([2, "PRESENT"]);
    expect(await score(TIME + 50, "ENTITY_TIME")).toEqual([1, "PRESENT"]);
    expect(await score(TIME, "LATEST")).toEqual([1, "PRESENT"]);
    expect(await score(TIME + 50, "LATEST", 49)).toEqual([2, "PRESENT"]);
    expect(await score(TIME + 50, "LATEST", 48)).toEqual([null, "OUTSIDE_MAX_AGE"]);
  });
});
