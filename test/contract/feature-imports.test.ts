import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FeatureRow } from "../../src/services/features/ingestion/write-model.ts";
import { StartFeatureRowsExportRequest } from "../../src/services/features/jobs/job-model.ts";
import { type FeatureJobsFixture, jobSetups, NAMESPACE } from "./feature-jobs-fixture.ts";

const TIME = new Date(Date.now() - 3_600_000).toISOString().replace("Z", "001Z");
const LATER = new Date(Date.now() - 1_800_000).toISOString();
const EVERY_TYPE: readonly (readonly [name: string, value: unknown, more?: object])[] = [
  ["bool", true],
  ["int64", Number.MAX_SAFE_INTEGER],
  ["double", -0.1],
  ["string", 'ä\n& "q", \u2028'],
  ["bytes", "AAECAw=="],
  ["timestamp", TIME],
  ["json", { a: [1, null, { b: "x" }] }],
  ["bool_list", [true, false]],
  ["int64_list", [1, -Number.MAX_SAFE_INTEGER]],
  ["double_list", [0.25, 1e300]],
  ["string_list", ["", 'b"', "ä"]],
  ["timestamp_list", [TIME]],
  ["vector", [1, 0.5], { dimension: 2 }],
];
const KEYS = [
  { name: "user", type: "STRING" },
  { name: "shop", type: "INT64" },
];
const FEATURES = EVERY_TYPE.map(([name, , more]) => ({ name, type: name.toUpperCase(), ...more }));
const WHOLE_ROWS: readonly FeatureRow[] = [
  { entity: { user: "a", shop: 1 }, values: Object.fromEntries(EVERY_TYPE) as FeatureRow["values"], eventTime: TIME },
  { entity: { user: "1,11", shop: -5 }, values: {}, eventTime: LATER },
  { entity: { user: "null", shop: 0 }, values: { string: "", bool: false, json: "" }, eventTime: LATER },
];

describe.each(jobSetups)("imports on $name", ({ open }) => {
  let store: FeatureJobsFixture;
  let services: FeatureJobsFixture["domain"]["services"];
  beforeAll(async () => {
    store = await open();
    services = store.domain.services;
  }, 60_000);
  afterAll(async () => {
    await store?.close();
    expect(store?.logged).toEqual([]);
  });

  const imported = async (group: string, name: string, content: string | Buffer) => {
    const fileId = await store.upload(name, content);
    return store.ended(await services.featureJobs.startImport({ namespace: NAMESPACE, group, fileId }, store.call()));
  };
  const rowsOf = async (group: string) => {
    const { rows } = await services.featureHistory.latest(
      { namespace: NAMESPACE, group, features: [], knownAt: "LATEST", pageSize: 100 },
      store.call(),
    );
    const { writtenTimes: _, ...rest } = rows;
    return rest;
  };
  const parquet = async (select: string, options = "") => {
    const path = join(store.featuresDir, "made.parquet");
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    await connection.run(`COPY (${select}) TO '${path.replaceAll("'", "''")}' (FORMAT parquet${options})`);
    connection.disconnectSync();
    instance.closeSync();
    return readFile(path);
  };
  const line = (user: unknown, clicks: unknown, eventTime: unknown = TIME) =>
    `${JSON.stringify({ user, clicks, event_time: eventTime })}\n`;

  test("take in what an export made, of every type, as it was", async () => {
    const from = await store.group({ entityKeys: KEYS, features: FEATURES });
    await services.featureWrites.write({ namespace: NAMESPACE, group: from, rows: [...WHOLE_ROWS] }, store.call());
    const expected = await rowsOf(from);
    for (const format of ["PARQUET", "CSV"] as const) {
      const request = StartFeatureRowsExportRequest.parse({
        namespace: NAMESPACE,
        format,
        group: from,
      });
      const { result } = await store.ended(await services.featureJobs.startRowsExport(request, store.call()));
      const to = await store.group({ entityKeys: KEYS, features: FEATURES });
      const asked = { namespace: NAMESPACE, group: to, fileId: result!.fileId! };
      const job = await store.ended(await services.featureJobs.startImport(asked, store.call()));
      expect(job, format).toMatchObject({ state: "SUCCEEDED", result: { rowCount: 3 } });
      expect(await rowsOf(to), format).toEqual(expected);
    }
  });

  test("take in lines of JSON of every type, and again without a change", async () => {
    const from = await store.group({ entityKeys: KEYS, features: FEATURES });
    await services.featureWrites.write({ namespace: NAMESPACE, group: from, rows: [...WHOLE_ROWS] }, store.call());
    const to = await store.group({ entityKeys: KEYS, features: FEATURES });
    const lines = WHOLE_ROWS.map(({ entity, values, eventTime }) => ({ event_time: eventTime, ...values, ...entity }));
    const content = lines.map((row) => `${JSON.stringify(row)}\r\n`).join("\n");
    for (let time = 0; time < 2; time++) {
      expect(await imported(to, "rows.ndjson", content)).toMatchObject({ state: "SUCCEEDED", result: { rowCount: 3 } });
      expect(await rowsOf(to)).toEqual(await rowsOf(from));
    }
  });

  test("take in Parquet as data frames write it", async () => {
    const group = await store.group({
      features: [
        { name: "clicks", type: "INT64" },
        { name: "score", type: "DOUBLE" },
        { name: "vector", type: "VECTOR", dimension: 2 },
      ],
    });
    const file = await parquet(`
      SELECT 'a' AS user, CAST(5 AS DOUBLE) AS clicks, CAST(1.5 AS DECIMAL(9, 2)) AS score,
        [0.1, 0.2]::DOUBLE[2] AS vector, TIMESTAMPTZ '2026-01-01 02:00:00+02' AS event_time
      UNION ALL SELECT 'b', CAST('NaN' AS DOUBLE), NULL, NULL, TIMESTAMPTZ '2026-01-01 00:00:00.000001+00'`);
    const job = await imported(group, "rows.parquet", file);
    expect(job.error).toBeUndefined();
    expect(await rowsOf(group)).toMatchObject({
      entities: [{ values: ["a", "b"] }],
      eventTimes: ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000001Z"],
      columns: [
        { values: { values: [5, null] } },
        { values: { values: [1.5, null] } },
        { values: { values: [{ items: [Math.fround(0.1), Math.fround(0.2)] }, null] } },
      ],
    });
  });

  test("take in CSV as spreadsheets write it", async () => {
    const group = await store.group({ features: [{ name: "text", type: "STRING" }] });
    const csv = `\ufeff"user",text,event_time\r\na,"two\r\nlines, ""so""",${TIME}\r\n\r\nb,"",${TIME}\r\nc,,${TIME}`;
    expect(await imported(group, "rows.csv", csv)).toMatchObject({ state: "SUCCEEDED", result: { rowCount: 3 } });
    expect(await store.online(group, "text", ["a", "b", "c"])).toEqual(['two\r\nlines, "so"', "", null]);
  });

  test("under STRICT write nothing of a file with bad rows, and name them", async () => {
    const group = await store.group();
    const bad = [line("x", -1), line(null, 1), line("x", 1.5), line("x", 1, "yesterday"), line("x", 2 ** 53), "[]\n"];
    const content = [line("a", 1), ...bad, line("b", 2), '{"user":"c","event_time":5,"more":1}\n'].join("");
    const job = await imported(group, "rows.ndjson", content);
    expect(job).toMatchObject({
      state: "FAILED",
      error: { reason: "IMPORT_REFUSED", message: /Nothing was written: 7 rows/ },
    });
    const named = job.error!.badRows.map(({ row, problems }) => [row, ...problems.map(({ field }) => field)]);
    expect(named).toEqual([
      [1, "values.clicks"],
      [2, "entity.user"],
      [3, "values.clicks"],
      [4, "eventTime"],
      [5, "values.clicks"],
      [6, "row", "eventTime", "entity.user"],
      [8, "values.more", "eventTime"],
    ]);
    expect((await rowsOf(group)).eventTimes).toEqual([]);
    const many = await imported(group, "rows.ndjson", line("x", -1).repeat(3000));
    expect(many.error!.badRows).toHaveLength(50);
  });

  test("under QUARANTINE take the good rows and keep the bad ones, to be mended", async () => {
    const group = await store.group({ validation: "QUARANTINE" });
    const csv = `event_time,user,clicks\n${TIME},a,1\nyesterday,b,2\n${TIME},c,many\n,d,3\n${LATER},"e",+4.0\n`;
    const job = await imported(group, "rows.csv", csv);
    expect(job).toMatchObject({ state: "SUCCEEDED", result: { rowCount: 2, quarantinedRows: 3 } });
    const of = { namespace: NAMESPACE, group };
    const { rows } = await services.quarantine.list({ ...of, pageSize: 9 });
    expect(rows).toMatchObject([
      {
        row: { entity: { user: "b" }, values: { clicks: 2, event_time: "yesterday" } },
        problems: [{ field: "eventTime" }],
      },
      { row: { entity: { user: "c" }, values: { clicks: "many" } }, problems: [{ field: "values.clicks" }] },
      { row: { entity: { user: "d" }, values: { event_time: "" } }, problems: [{ field: "eventTime" }] },
    ]);
    // As it was it would be a row of 1970.
    const replayed = await services.quarantine.replay({ ...of, rows: [{ rowId: rows[0]!.rowId }] }, store.call());
    expect(replayed).toMatchObject({ writtenRows: 0, stillBad: [{ problems: [{ field: "values.event_time" }] }] });
    expect(await store.online(group, "clicks", ["a", "e"])).toEqual([1, 4]);
  });

  test("refuse files that are not what they say, with words for people", async () => {
    const group = await store.group();
    const good = `a,1,${TIME}\n`;
    const cases: readonly (readonly [name: string, content: string | Buffer, reason: string, message: RegExp])[] = [
      ["rows.csv", `user,clicks,event_time\n${good}b\n`, "FILE_UNREADABLE", /line 3/],
      ["rows.csv", `user,clicks,event_time\n${good}b,1,${TIME},4\n`, "FILE_UNREADABLE", /line 3/],
      ["rows.csv", `user,clicks,event_time\n${good}"b,1,${TIME}\n`, "FILE_UNREADABLE", /line 3/],
      ["rows.csv", `user;clicks;event_time\n`, "FILE_COLUMNS", /"user" is not in the file/],
      ["rows.csv", `user,clicks,more,event_time\n`, "FILE_COLUMNS", /"more" is not a column of/],
      ["rows.csv", `user,clicks,clicks,event_time\n`, "FILE_COLUMNS", /"clicks" is there twice/],
      ["rows.csv", `user,clicks,event_time\n`, "FILE_EMPTY", /no rows/],
      ["rows.csv", `"user,clicks`, "FILE_UNREADABLE", /first line/],
      ["rows.ndjson", `${line("a", 1)}{"user":\n`, "FILE_UNREADABLE", /line 2|line 3/],
      ["rows.ndjson", "user,clicks\na,1\n", "FILE_UNREADABLE", /NDJSON/],
      [
        "rows.parquet",
        await parquet("SELECT 1 AS user, 1 AS clicks, now() AS event_time"),
        "FILE_COLUMNS",
        /"user" must be STRING; the file has INTEGER/,
      ],
      [
        "rows.parquet",
        await parquet("SELECT 'a' AS user, 5 AS event_time"),
        "FILE_COLUMNS",
        /"event_time" must be TIMESTAMP/,
      ],
      [
        "rows.parquet",
        await parquet("SELECT 'a' AS User, now() AS event_time"),
        "FILE_COLUMNS",
        /"User" is not a column/,
      ],
    ];
    for (const [name, content, reason, message] of cases) {
      const job = await imported(group, name, content);
      expect(job, `${name} ${message}`).toMatchObject({
        state: "FAILED",
        attempts: 1,
        error: { reason, message: expect.stringMatching(message) },
      });
    }
    expect((await rowsOf(group)).eventTimes).toEqual([]);
  });

  test("refuse a damaged page and rows that are huge in memory alone", async () => {
    const group = await store.group({ features: [{ name: "text", type: "STRING" }] });
    const whole = await parquet(
      "SELECT 'u' || range AS user, md5(range::VARCHAR) AS text, now() AS event_time FROM range(20000)",
      ", ROW_GROUP_SIZE 2048",
    );
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, Math.floor(whole.length / 2), Math.floor(whole.length / 2) + 5000);
    const job = await imported(group, "rows.parquet", damaged);
    expect(job).toMatchObject({ state: "FAILED", attempts: 1 });
    expect(job.error!.reason).toMatch(/FILE_UNREADABLE|IMPORT_REFUSED/);
    expect((await rowsOf(group)).eventTimes).toEqual([]);
    // A dictionary of one long text, thousands of times: small as a file, and large as rows.
    const wide = await parquet(
      "SELECT 'u' AS user, repeat('x', 200000) AS text, now() AS event_time FROM range(4000)",
      ", DICTIONARY_SIZE_LIMIT 10000, STRING_DICTIONARY_PAGE_SIZE_LIMIT 100000000",
    );
    expect(wide.length).toBeLessThan(2_000_000);
    const refused = await imported(group, "rows.parquet", wide);
    expect(refused).toMatchObject({ state: "FAILED", error: { reason: "IMPORT_REFUSED", message: /131072 bytes/ } });
  }, 60_000);

  test("read only files of their namespace that are whole", async () => {
    const group = await store.group();
    const fileId = await store.upload("rows.csv", "x\n");
    const start = (namespace: string) =>
      services.featureJobs.startImport({ namespace, group, fileId }, store.call({ namespace }));
    await expect(start("other")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const file = { namespace: NAMESPACE, name: "x", format: "CSV" as const, keepMs: 60_000 };
    const { fileId: unfinished } = await services.featureFiles.create(file, store.call());
    const early = services.featureJobs.startImport({ namespace: NAMESPACE, group, fileId: unfinished }, store.call());
    await expect(early).rejects.toMatchObject({ reason: "FILE_NOT_READY" });
  });
});
