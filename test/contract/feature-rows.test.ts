import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { IngestFeaturesRequest } from "../../src/services/features/ingestion/ingest-model.ts";
import type { FeatureRow } from "../../src/services/features/ingestion/write-model.ts";
import { microsToText } from "../../src/services/features/values/micros.ts";
import { eventually } from "../support/eventually.ts";
import { type FeatureRowsFixture, featureSetups, NAMESPACE } from "./feature-rows-fixture.ts";

const BASE = (Date.now() - 3_600_000) * 1000;
const at = (micros: number) => microsToText(BASE + micros);
const KEYS = [{ name: "user", type: "STRING" }];
const row = (user: string, values: FeatureRow["values"], micros = 0): FeatureRow => ({
  entity: { user },
  values,
  eventTime: at(micros),
});

describe.each(featureSetups)("rows of features on $name", ({ open }) => {
  let store: FeatureRowsFixture;
  let groups = 0;
  beforeAll(async () => {
    store = await open();
    await store.start();
  });
  afterAll(() => store.close());

  const newGroup = async (fields: Readonly<Record<string, unknown>> = {}) => {
    const group = `g${++groups}`;
    await store.group(group, {
      entityKeys: KEYS,
      features: [{ name: "clicks", type: "INT64", rules: { min: 0 } }],
      ...fields,
    });
    return group;
  };
  const valuesOf = async (group: string, users: readonly (string | null)[], feature = "clicks") => {
    const { columns, sources } = await store.read([`${group}:${feature}`], { user: users });
    return { values: columns[0]!.values.values, statuses: columns[0]!.statuses, times: sources[0]!.eventTimes };
  };
  const latest = async (group: string) => {
    const { rows } = await store.services.featureHistory.latest(
      { namespace: NAMESPACE, group, features: [], knownAt: "LATEST", pageSize: 1000 },
      store.call(),
    );
    return rows;
  };
  const flushed = (group: string) =>
    eventually(
      "rows are in files",
      async () => {
        const { pendingRows } = await store.services.featureHistory.statistics({ namespace: NAMESPACE, group });
        return pendingRows === 0;
      },
      30_000,
    );

  test("can be read online and in the history as soon as they are acknowledged", async () => {
    const group = await newGroup();
    await store.write(group, [row("a", { clicks: 1 }, 5), row("b", {}, 6), row("c", { clicks: 3 }, 7)]);
    const expected = {
      values: [1, null, null],
      statuses: ["PRESENT", "NULL_VALUE", "NOT_FOUND"],
      times: [at(5), at(6), null],
    };
    expect(await valuesOf(group, ["a", "b", "x"])).toEqual(expected);
    expect((await latest(group)).columns[0]!.values.values).toEqual([1, null, 3]);
    await flushed(group);
    expect((await latest(group)).columns[0]!.values.values).toEqual([1, null, 3]);
    expect(await valuesOf(group, [null, "c"])).toMatchObject({ statuses: ["NOT_FOUND", "PRESENT"] });
  });

  test("are refused as a whole by STRICT, each wrong field named", async () => {
    const group = await newGroup();
    const writing = store.write(group, [row("a", { clicks: 1 }), row("b", { clicks: -1, more: 1 })]);
    await expect(writing).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      details: { fields: [{ field: "rows[1].values.more" }, { field: "rows[1].values.clicks" }] },
    });
    expect((await valuesOf(group, ["a"])).statuses).toEqual(["NOT_FOUND"]);
    expect((await latest(group)).eventTimes).toEqual([]);
  });

  test("that are bad wait in quarantine, and are mended and replayed from there", async () => {
    const group = await newGroup({ validation: "QUARANTINE" });
    const { quarantine } = store.services;
    const of = { namespace: NAMESPACE, group };
    const bad = row("b", { clicks: -1 }, 1);
    expect(await store.write(group, [row("a", { clicks: 1 }), bad, row("c", { clicks: "x" })])).toEqual({
      version: 1,
      writtenRows: 1,
      quarantinedRows: 2,
    });
    expect((await valuesOf(group, ["a", "b"])).statuses).toEqual(["PRESENT", "NOT_FOUND"]);
    const { rows, nextPageToken } = await quarantine.list({ ...of, pageSize: 1 });
    expect(rows).toMatchObject([{ row: bad, problems: [{ field: "values.clicks", message: "must be at least 0" }] }]);
    const [second] = (await quarantine.list({ ...of, pageSize: 1, pageToken: nextPageToken })).rows;

    const mended = { rowId: rows[0]!.rowId, row: row("b", { clicks: 2 }, 1) };
    const replayed = await quarantine.replay({ ...of, rows: [mended, { rowId: second!.rowId }] }, store.call());
    expect(replayed).toMatchObject({ writtenRows: 1, stillBad: [{ rowId: second!.rowId }] });
    expect((await valuesOf(group, ["b"])).values).toEqual([2]);
    const again = quarantine.replay({ ...of, rows: [mended] }, store.call());
    await expect(again).rejects.toMatchObject({ details: { fields: [{ field: "rows[0].rowId" }] } });
    expect(await quarantine.purge({ ...of, rowIds: [] })).toBe(1);
    expect((await quarantine.list({ ...of, pageSize: 9 })).rows).toEqual([]);
  });

  test("end the same online and in the history, in whatever order they are written", async () => {
    const write = fc.record({
      user: fc.constantFrom("a", "b", "c"),
      micros: fc.integer({ min: 0, max: 3 }),
      clicks: fc.option(fc.integer({ min: 0, max: 99 })),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(write, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 }),
        async (batches) => {
          const group = await newGroup();
          const winners = new Map<string, { micros: number; clicks: number | null }>();
          for (const batch of batches) {
            await store.write(
              group,
              batch.map(({ user, micros, clicks }) => row(user, { clicks }, micros)),
            );
            for (const { user, micros, clicks } of batch) {
              if (micros >= (winners.get(user)?.micros ?? 0)) winners.set(user, { micros, clicks });
            }
          }
          const users = [...winners.keys()].sort();
          const expected = users.map((user) => winners.get(user)!);
          const online = await valuesOf(group, users);
          expect(online.values).toEqual(expected.map(({ clicks }) => clicks));
          expect(online.times).toEqual(expected.map(({ micros }) => at(micros)));
          const history = await latest(group);
          expect(history.entities[0]!.values).toEqual(users);
          expect(history.columns[0]!.values.values).toEqual(online.values);
          expect(history.eventTimes).toEqual(online.times);
        },
      ),
      { numRuns: 15 },
    );
  }, 60_000);

  test("are too old after the ttl, and then also in the history of a later time", async () => {
    const group = await newGroup({ ttlMs: 1_800_000 });
    await store.write(group, [row("a", { clicks: 1 })]);
    expect(await valuesOf(group, ["a"])).toEqual({ values: [null], statuses: ["OUTSIDE_MAX_AGE"], times: [at(0)] });
    const edge = 1_800_000_000;
    const { columns } = await store.services.featureHistory.read(
      {
        namespace: NAMESPACE,
        features: [`${group}:clicks`],
        entities: [{ key: "user", values: ["a", "a", "a"] }],
        times: [at(-1), at(edge), at(edge + 1)],
        knownAt: "LATEST",
      },
      store.call(),
    );
    expect(columns[0]!.statuses).toEqual(["NOT_FOUND", "PRESENT", "OUTSIDE_MAX_AGE"]);
  });

  test("come by a stream of batches, as rows or as columns, each answered in its turn", async () => {
    const group = await newGroup({
      entityKeys: [...KEYS, { name: "shop", type: "INT64" }],
      features: [
        { name: "clicks", type: "INT64", rules: { min: 0 } },
        { name: "tags", type: "STRING_LIST" },
      ],
    });
    const batch = (number: number, more: Partial<IngestFeaturesRequest>): IngestFeaturesRequest => ({
      namespace: NAMESPACE,
      group,
      batch: number,
      rows: [],
      ...more,
    });
    const columns = (clicks: number[], nullRows: number[] = []): IngestFeaturesRequest["columns"] => ({
      entities: [
        { name: "shop", values: { type: "INT64", values: clicks.map(() => 7) }, nullRows: [] },
        { name: "user", values: { type: "STRING", values: clicks.map((_, index) => `u${index}`) }, nullRows: [] },
      ],
      features: [
        { name: "tags", values: { type: "STRING_LIST", values: clicks.map(() => ({ items: ["t"] })) }, nullRows: [] },
        { name: "clicks", values: { type: "INT64", values: clicks }, nullRows },
      ],
      eventTimesMicros: clicks.map((_, index) => BASE + index),
    });
    const answers: unknown[] = [];
    // The second batch is sent only once the first is answered: an answer must not wait for more.
    const answered = (count: number) => eventually("answers came", () => answers.length >= count);
    async function* batches() {
      yield batch(1, { rows: [{ entity: { user: "r", shop: 7 }, values: { clicks: 1 }, eventTime: at(0) }] });
      await answered(1);
      yield batch(2, { columns: columns([5, 0, 6], [1]) });
      yield batch(3, { columns: columns([5, -1]) });
      yield batch(4, {});
      yield batch(5, { columns: { ...columns([1])!, eventTimesMicros: [BASE, BASE] } });
      await answered(5);
      yield { ...batch(6, {}), namespace: "other" };
    }
    const session = async () => {
      for await (const answer of store.services.featureIngest(batches(), store.call())) answers.push(answer);
    };
    await expect(session()).rejects.toMatchObject({ reason: "OTHER_NAMESPACE" });
    expect(answers).toMatchObject([
      { batch: 1, writtenRows: 1, badRows: [] },
      { batch: 2, writtenRows: 3, badRows: [] },
      {
        batch: 3,
        writtenRows: 0,
        code: "INVALID_ARGUMENT",
        badRows: [{ row: 1, problems: [{ field: "values.clicks" }] }],
      },
      { batch: 4, writtenRows: 0, code: "INVALID_ARGUMENT" },
      { batch: 5, writtenRows: 0, message: expect.stringContaining("must have 2 values") },
    ]);
    const read = await store.read([`${group}:clicks`, `${group}:tags`], { user: ["u0", "u1", "u2"], shop: [7, 7, 7] });
    expect(read.columns[0]!.values.values).toEqual([5, null, 6]);
    expect(read.columns[1]!.values.values).toEqual([{ items: ["t"] }, { items: ["t"] }, { items: ["t"] }]);
  });

  test("count towards maxStorageMb", async () => {
    const group = await newGroup({ features: [{ name: "text", type: "STRING" }] });
    const large = Array.from({ length: 40 }, (_, index) => row(`u${index}`, { text: "x".repeat(30_000) }));
    await expect(store.write(group, large, { maxStorageMb: 1 })).rejects.toMatchObject({ reason: "QUOTA_EXCEEDED" });
    expect(await store.write(group, large.slice(0, 20), { maxStorageMb: 1 })).toMatchObject({ writtenRows: 20 });
  });
});
