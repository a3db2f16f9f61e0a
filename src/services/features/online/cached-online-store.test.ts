import fc from "fast-check";
import { expect, test } from "vitest";
import { isNewer, packRow, readOrder, stampRow } from "../values/packed-row.ts";
import { createCachedOnlineStore } from "./cached-online-store.ts";
import type { OnlineRow, OnlineStore } from "./online-store.ts";

const DATASET = 7;
const bounds = { maxEntries: 1_000, maxBytes: 1_000_000 };

function rowOf(eventTime: number): Buffer {
  const row = packRow(eventTime, [], []);
  stampRow(row, 0, 0);
  return row;
}

const wins = (left: Buffer, right: Buffer | undefined) =>
  right === undefined || isNewer(readOrder(left), readOrder(right));

/** A store in memory that counts what it is asked, and waits for `pause` before and after each step. */
function createFixture(pause: () => Promise<void> = async () => {}) {
  const time = { ms: 1_000 };
  const rows = new Map<string, Buffer>();
  const asked: string[][] = [];
  /** Each row that won, and when. */
  const history: { atMs: number; row: Buffer }[] = [];
  const id = (datasetId: number, entity: string) => `${datasetId}/${entity}`;
  const putNow = (datasetId: number, items: readonly OnlineRow[]) => {
    for (const { entity, row } of items) {
      if (!wins(row, rows.get(id(datasetId, entity)))) continue;
      rows.set(id(datasetId, entity), row);
      history.push({ atMs: time.ms, row });
    }
  };
  const store: OnlineStore = {
    async put(datasetId, items) {
      await pause();
      putNow(datasetId, items);
      await pause();
    },
    async get(reads) {
      await pause();
      asked.push(reads.flatMap(({ datasetId, entities }) => entities.map((entity) => id(datasetId, entity))));
      const found = reads.map(({ datasetId, entities }) => entities.map((entity) => rows.get(id(datasetId, entity))));
      await pause();
      return found;
    },
    async clear(datasetId) {
      await pause();
      for (const key of rows.keys()) if (key.startsWith(`${datasetId}/`)) rows.delete(key);
      await pause();
    },
  };
  const clock = { now: () => time.ms, monotonic: () => time.ms };
  const cached = createCachedOnlineStore({ store, clock, ...bounds });
  const read = async (maxStalenessMs: number | undefined, ...entities: string[]) =>
    (await cached.get([{ datasetId: DATASET, entities }], { maxStalenessMs }))[0]!;
  return { time, rows, history, asked, store, clock, cached, read, putNow };
}

test("a read without a declared staleness always asks the store", async () => {
  const { cached, read, store, asked } = createFixture();
  await store.put(DATASET, [{ entity: "a", row: rowOf(1) }]);
  await read(60_000, "a");
  await store.put(DATASET, [{ entity: "a", row: rowOf(2) }]);
  expect(await cached.get([{ datasetId: DATASET, entities: ["a"] }])).toEqual([[rowOf(2)]]);
  expect(await read(undefined, "a")).toEqual([rowOf(2)]);
  expect(await read(0, "a")).toEqual([rowOf(2)]);
  expect(asked).toHaveLength(4);
  expect(cached.usage()).toMatchObject({ hits: 0, misses: 1 });
});

test("what was found is served again, absent entities too, for as long as the read allows", async () => {
  const { cached, read, store, asked, time } = createFixture();
  await store.put(DATASET, [{ entity: "a", row: rowOf(1) }]);
  expect(await read(100, "a", "nobody")).toEqual([rowOf(1), undefined]);
  await store.put(DATASET, [
    { entity: "a", row: rowOf(2) },
    { entity: "nobody", row: rowOf(2) },
  ]);
  time.ms += 100;
  expect(await read(100, "a", "nobody")).toEqual([rowOf(1), undefined]);
  expect(asked).toHaveLength(1);
  expect(await read(99, "nobody")).toEqual([rowOf(2)]);
  time.ms += 1;
  expect(await read(100, "a")).toEqual([rowOf(2)]);
  expect(asked.slice(1)).toEqual([["7/nobody"], ["7/a"]]);
  expect(cached.usage()).toMatchObject({ hits: 2, misses: 4 });
});

test("only what is missing is asked for, and everything comes in the order of the reads", async () => {
  const { cached, store, read, asked } = createFixture();
  await store.put(DATASET, [
    { entity: "a", row: rowOf(1) },
    { entity: "b", row: rowOf(2) },
  ]);
  await store.put(8, [{ entity: "a", row: rowOf(3) }]);
  await read(100, "b");
  const reads = [
    { datasetId: DATASET, entities: ["a", "b", "a"] },
    { datasetId: 8, entities: ["a"] },
    { datasetId: DATASET, entities: [] },
    { datasetId: DATASET, entities: ["c", "b"] },
  ];
  const rows = [[rowOf(1), rowOf(2), rowOf(1)], [rowOf(3)], [], [undefined, rowOf(2)]];
  expect(await cached.get(reads, { maxStalenessMs: 100 })).toEqual(rows);
  expect(asked.at(-1)).toEqual(["7/a", "7/a", "8/a", "7/c"]);
  expect(await cached.get(reads, { maxStalenessMs: 100 })).toEqual(rows);
  expect(asked).toHaveLength(2);
});

test("own puts that win are seen at once; a row that is already forgotten is not", async () => {
  const { cached, read, asked, time } = createFixture();
  await read(100, "a", "b", "c");
  await cached.put(DATASET, [
    { entity: "a", row: rowOf(5) },
    { entity: "a", row: rowOf(4) },
    { entity: "b", row: rowOf(5), forgetAtMs: time.ms },
    { entity: "c", row: rowOf(5), forgetAtMs: time.ms + 1 },
  ]);
  expect(await read(100, "a", "b", "c")).toEqual([rowOf(5), undefined, rowOf(5)]);
  expect(asked).toHaveLength(1);
});

test("after a clear nothing of the dataset is left, also not from a read that was under way", async () => {
  const steps: (() => void)[] = [];
  const { cached, rows } = createFixture(() => new Promise((resolve) => steps.push(resolve)));
  const step = async () => {
    steps.shift()!();
    await new Promise(setImmediate);
  };
  const reads = [{ datasetId: DATASET, entities: ["a"] }];
  const stale = { maxStalenessMs: Number.POSITIVE_INFINITY };
  rows.set("7/a", rowOf(1));
  const under = cached.get(reads, stale);
  await step();
  const clearing = cached.clear(DATASET);
  // The read has its answer, but gets it only after the clear.
  const answer = steps.shift()!;
  await step();
  await step();
  await clearing;
  answer();
  expect(await under).toEqual([[rowOf(1)]]);
  const again = cached.get(reads, stale);
  await step();
  await step();
  expect(await again).toEqual([[undefined]]);
});

test("a store that fails is told to the reader, and nothing is remembered of it", async () => {
  const { clock, store } = createFixture();
  let fails = true;
  const failing: OnlineStore = {
    ...store,
    get: (reads) => (fails ? Promise.reject(new Error("away")) : store.get(reads)),
    put: (datasetId, rows) => (fails ? Promise.reject(new Error("away")) : store.put(datasetId, rows)),
  };
  const cached = createCachedOnlineStore({ store: failing, clock, ...bounds });
  const read = () => cached.get([{ datasetId: DATASET, entities: ["a"] }], { maxStalenessMs: 100 });
  await expect(read()).rejects.toThrowError("away");
  fails = false;
  expect(await read()).toEqual([[undefined]]);
  fails = true;
  await expect(cached.put(DATASET, [{ entity: "a", row: rowOf(1) }])).rejects.toThrowError("away");
  expect(await read()).toEqual([[undefined]]);
});

test("whatever happens at the same time, a read is as fresh as it was declared, and sees own finished puts", async () => {
  const entity = "a";
  const operation = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({ verb: fc.constant("read" as const), maxStalenessMs: fc.integer({ min: 0, max: 12 }) }),
    },
    { weight: 1, arbitrary: fc.record({ verb: fc.constant("readForever" as const) }) },
    { weight: 2, arbitrary: fc.record({ verb: fc.constant("put" as const), eventTime: fc.nat(20) }) },
    { weight: 1, arbitrary: fc.record({ verb: fc.constant("foreignPut" as const), eventTime: fc.nat(20) }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(operation, { maxLength: 14 }), async (scheduler, operations) => {
      const pause = async () => {
        await scheduler.schedule(Promise.resolve());
        time.ms += 1;
      };
      const { time, history, cached, putNow } = createFixture(pause);
      let acknowledged: Buffer | undefined;
      const failures: string[] = [];
      const read = async (maxStalenessMs: number) => {
        const mine = acknowledged;
        const due = history.findLast(({ atMs }) => atMs < time.ms - maxStalenessMs)?.row;
        const [[row]] = (await cached.get([{ datasetId: DATASET, entities: [entity] }], { maxStalenessMs })) as [
          [Buffer | undefined],
        ];
        if (due && wins(due, row)) failures.push(`staler than ${maxStalenessMs} ms`);
        if (mine && wins(mine, row)) failures.push("without an own put");
      };
      for (const item of operations) {
        void pause().then(async () => {
          if (item.verb === "read") await read(item.maxStalenessMs);
          else if (item.verb === "readForever") await read(Number.POSITIVE_INFINITY);
          else if (item.verb === "foreignPut") putNow(DATASET, [{ entity, row: rowOf(item.eventTime) }]);
          else {
            const row = rowOf(item.eventTime);
            await cached.put(DATASET, [{ entity, row }]);
            if (wins(row, acknowledged)) acknowledged = row;
          }
        });
      }
      await scheduler.waitIdle();
      expect(failures).toEqual([]);
    }),
    { numRuns: 2_000 },
  );
});
