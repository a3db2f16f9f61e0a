import { createHash } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OnlineRow, OnlineStore } from "../../src/services/features/online/online-store.ts";
import { entityText } from "../../src/services/features/values/entity-key.ts";
import type { FeatureShape } from "../../src/services/features/values/feature-type.ts";
import { isNewer, packRow, type RowOrder, readOrder, stampRow } from "../../src/services/features/values/packed-row.ts";
import { eventually } from "../support/eventually.ts";
import { type OpenOnlineStore, onlineEngines } from "./feature-online-engines.ts";

const FEATURES: readonly FeatureShape[] = [
  { name: "label", type: "STRING" },
  { name: "score", type: "DOUBLE" },
];
/** 2027-01-31T00:00:00Z, so that numbers are as large as they are in use. */
const DAY_MICROS = Date.UTC(2027, 0, 31) * 1000;
const HOUR_MS = 3_600_000;

let datasets = 0;
const newDataset = () => ++datasets;

/** Any two orders differ in their rows' bytes, so that an answer tells which row won. */
function rowOf(order: RowOrder, label = "row"): Buffer {
  const row = packRow(order.eventTime, FEATURES, [label, order.sequence / 3]);
  stampRow(row, order.createdAt, order.sequence);
  return row;
}

const at = (eventTime: number, createdAt = 0, sequence = 0): RowOrder => ({
  eventTime: DAY_MICROS + eventTime,
  createdAt: DAY_MICROS + createdAt,
  sequence,
});

async function getOne(store: OnlineStore, datasetId: number, entity: string): Promise<Buffer | undefined> {
  return (await store.get([{ datasetId, entities: [entity] }]))[0]![0];
}

describe.each(onlineEngines)("online store on $name", ({ open }) => {
  let opened: OpenOnlineStore;
  let store: OnlineStore;
  let other: OnlineStore;

  beforeAll(async () => {
    opened = await open();
    ({ store, other } = opened);
  }, 60_000);
  afterAll(() => opened.close());

  test("answers each read in the order asked for, with undefined where there is no row", async () => {
    const [left, right] = [newDataset(), newDataset()];
    await store.put(left, [
      { entity: '["a"]', row: rowOf(at(1), "left a") },
      { entity: '["b"]', row: rowOf(at(1), "left b") },
    ]);
    await store.put(right, [{ entity: '["a"]', row: rowOf(at(1), "right a") }]);
    const answers = await other.get([
      { datasetId: left, entities: ['["b"]', '["nobody"]', '["a"]', '["b"]'] },
      { datasetId: newDataset(), entities: ['["a"]'] },
      { datasetId: right, entities: [] },
      { datasetId: right, entities: ['["a"]', '["b"]'] },
      { datasetId: left, entities: ['["a"]'] },
    ]);
    const [a, b] = [rowOf(at(1), "left a"), rowOf(at(1), "left b")];
    expect(answers).toEqual([[b, undefined, a, b], [undefined], [], [rowOf(at(1), "right a"), undefined], [a]]);
  });

  test("nothing asked for is answered with nothing", async () => {
    await store.put(newDataset(), []);
    expect(await store.get([])).toEqual([]);
    expect(await store.get([{ datasetId: newDataset(), entities: [] }])).toEqual([[]]);
    await store.clear(newDataset());
  });

  test("event time decides, then created time, then sequence; an equal row changes nothing", async () => {
    const datasetId = newDataset();
    const entity = '["a"]';
    const put = async (order: RowOrder, label: string) => {
      await store.put(datasetId, [{ entity, row: rowOf(order, label) }]);
      return getOne(store, datasetId, entity);
    };
    const first = rowOf(at(5, 5, 5), "first");
    expect(await put(at(5, 5, 5), "first")).toEqual(first);
    expect(await put(at(5, 5, 5), "equal")).toEqual(first);
    expect(await put(at(4, 9, 9), "older event")).toEqual(first);
    expect(await put(at(5, 4, 9), "older created")).toEqual(first);
    expect(await put(at(5, 5, 4), "older sequence")).toEqual(first);
    expect(await put(at(5, 5, 6), "later sequence")).toEqual(rowOf(at(5, 5, 6), "later sequence"));
    expect(await put(at(5, 6, 0), "later created")).toEqual(rowOf(at(5, 6, 0), "later created"));
    expect(await put(at(6, 0, 0), "later event")).toEqual(rowOf(at(6, 0, 0), "later event"));
  });

  test("orders that differ only in their last bits, or in their signs, are told apart", async () => {
    const datasetId = newDataset();
    const orders = [-DAY_MICROS, -2, -1, 0, 1, 255, 256, 2 ** 32, 2 ** 52, 2 ** 53 - 2, 2 ** 53 - 1];
    const rows = orders.map((eventTime) => rowOf({ eventTime, createdAt: 0, sequence: 2 ** 53 - 1 }));
    for (const [index, row] of rows.entries()) {
      await store.put(datasetId, [{ entity: '["up"]', row }]);
      await store.put(datasetId, [{ entity: '["down"]', row: rows.at(-1 - index)! }]);
      expect(await getOne(store, datasetId, '["up"]')).toEqual(row);
      expect(await getOne(store, datasetId, '["down"]')).toEqual(rows.at(-1));
    }
  });

  test("any puts in any order end with the winners", async () => {
    const order = fc.record({
      eventTime: fc.integer({ min: -2, max: 2 }),
      createdAt: fc.integer({ min: 0, max: 2 }),
      sequence: fc.integer({ min: 0, max: 3 }),
    });
    const forgotten = fc.boolean();
    const item = fc.record({ entity: fc.constantFrom('["a"]', '["b"]', '["c"]'), order, forgotten });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(item, { maxLength: 6 }), { maxLength: 6 }), async (batches) => {
        const datasetId = newDataset();
        const winners = new Map<string, Buffer>();
        for (const batch of batches) {
          const rows = batch.map(({ entity, order: { eventTime, createdAt, sequence }, forgotten }) => ({
            entity,
            row: rowOf(at(eventTime, createdAt, sequence)),
            ...(forgotten ? { forgetAtMs: Date.now() - HOUR_MS } : {}),
          }));
          await store.put(datasetId, rows);
          for (const { entity, row } of rows.filter(({ forgetAtMs }) => forgetAtMs === undefined)) {
            const winner = winners.get(entity);
            if (winner === undefined || isNewer(readOrder(row), readOrder(winner))) winners.set(entity, row);
          }
        }
        const entities = ['["a"]', '["b"]', '["c"]'];
        expect(await store.get([{ datasetId, entities }])).toEqual([entities.map((entity) => winners.get(entity))]);
      }),
      { numRuns: 60 },
    );
  });

  test("clients that put at the same time, in different orders, end with the winners", async () => {
    const datasetId = newDataset();
    const entities = Array.from({ length: 50 }, (_, index) => entityText([`user-${index}`]));
    const batches = Array.from({ length: 20 }, (_, batch) =>
      entities.map((entity, index) => ({ entity, row: rowOf(at((batch * 7 + index) % 20, 0, batch)) })),
    );
    await Promise.all(
      batches.map((batch, index) =>
        index % 2 === 0 ? store.put(datasetId, batch) : other.put(datasetId, batch.toReversed()),
      ),
    );
    const [found] = await store.get([{ datasetId, entities }]);
    for (const [index, row] of found!.entries()) {
      const best = batches
        .map((batch) => batch[index]!.row)
        .reduce((left, right) => (isNewer(readOrder(left), readOrder(right)) ? left : right));
      expect(row).toEqual(best);
    }
  });

  test("a row whose time to be forgotten is past is as if it had not been put", async () => {
    const datasetId = newDataset();
    const [kept, past] = [rowOf(at(1), "kept"), rowOf(at(2), "past")];
    await store.put(datasetId, [
      { entity: '["a"]', row: past, forgetAtMs: Date.now() - HOUR_MS },
      { entity: '["b"]', row: kept },
      { entity: '["b"]', row: past, forgetAtMs: Date.now() - HOUR_MS },
    ]);
    expect(await store.get([{ datasetId, entities: ['["a"]', '["b"]'] }])).toEqual([[undefined, kept]]);
  });

  test("rows are forgotten at their time, unless a row that wins has a later one or none", async () => {
    const datasetId = newDataset();
    const forgetAtMs = Date.now() + 300.5;
    const soon = (entity: string): OnlineRow => ({ entity, row: rowOf(at(5), "soon"), forgetAtMs });
    await store.put(datasetId, [soon("gone"), soon("longer"), soon("for good"), soon("followed by an older one")]);
    await store.put(datasetId, [
      { entity: "gone", row: rowOf(at(4), "older"), forgetAtMs: forgetAtMs + HOUR_MS },
      { entity: "longer", row: rowOf(at(6), "longer"), forgetAtMs: forgetAtMs + HOUR_MS },
      { entity: "for good", row: rowOf(at(6), "for good") },
    ]);
    await eventually("the row is forgotten", async () => (await getOne(store, datasetId, "gone")) === undefined);
    await store.put(datasetId, [{ entity: "followed by an older one", row: rowOf(at(1), "older") }]);
    expect(
      await store.get([{ datasetId, entities: ["gone", "longer", "for good", "followed by an older one"] }]),
    ).toEqual([[undefined, rowOf(at(6), "longer"), rowOf(at(6), "for good"), rowOf(at(1), "older")]]);
  });

  test("entities with odd texts stay apart and come back", async () => {
    const datasetId = newDataset();
    // Postgres could compress a text with a pattern, and so have it in an index after all.
    const incompressible = Array.from({ length: 160 }, (_, index) =>
      createHash("sha256").update(`${index}`).digest("hex"),
    );
    const hex = incompressible.join("");
    const entities = [
      ["1", "11"],
      ["11", "1"],
      [1, 11],
      ["}{", "{x}"],
      ["{}"],
      [":{*?[a]\\"],
      ["\n\r\n$3\r\n"],
      ["'; DROP TABLE feature_online; --", '"'],
      ["ü€😀", "\ufeff"],
      ["NULL"],
      ["a".repeat(10_240)],
      [hex],
      [`${hex}x`],
      ["€".repeat(3_000)],
    ].map(entityText);
    const rows = entities.map((entity, index) => ({ entity, row: rowOf(at(index), `row ${index}`) }));
    await store.put(datasetId, rows);
    await store.put(
      datasetId,
      rows.map(({ entity }) => ({ entity, row: rowOf(at(-1)) })),
    );
    expect(await other.get([{ datasetId, entities }])).toEqual([rows.map(({ row }) => row)]);
    await store.clear(datasetId);
    expect(await other.get([{ datasetId, entities }])).toEqual([rows.map(() => undefined)]);
  });

  test("bytes come back identical, whatever they are", async () => {
    const datasetId = newDataset();
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 600 }),
        fc.integer({ min: 0, max: 2 ** 53 - 1 }),
        async (bytes, eventTime) => {
          const row = Buffer.concat([rowOf({ eventTime, createdAt: eventTime, sequence: eventTime }), bytes]);
          const entity = entityText([eventTime, row.toString("base64")]);
          await store.put(datasetId, [{ entity, row }]);
          const [[found]] = (await store.get([{ datasetId, entities: [entity] }])) as [[Buffer]];
          expect(found.equals(row)).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
    const big = Buffer.concat([rowOf(at(1)), Buffer.alloc(3 * 1024 * 1024, 7)]);
    await store.put(datasetId, [
      { entity: "big", row: big },
      { entity: "big too", row: big },
    ]);
    expect((await getOne(store, datasetId, "big too"))!.equals(big)).toBe(true);
  });

  test("10,000 entities are put and read in one call, and cleared; other datasets stay", async () => {
    const datasetId = 1_000 + newDataset();
    const neighbour = datasetId * 10;
    const entities = Array.from({ length: 10_000 }, (_, index) => entityText([index, `user-${index}`]));
    await store.put(
      datasetId,
      entities.map((entity, index) => ({ entity, row: rowOf(at(index)) })),
    );
    await store.put(neighbour, [{ entity: entities[0]!, row: rowOf(at(1)) }]);
    const [found] = await store.get([{ datasetId, entities: entities.toReversed() }]);
    for (const [index, row] of found!.entries()) expect(row!.equals(rowOf(at(9_999 - index)))).toBe(true);

    await store.clear(datasetId);
    const [left] = await store.get([{ datasetId, entities }]);
    expect(left!.filter((row) => row !== undefined)).toEqual([]);
    expect(await getOne(store, neighbour, entities[0]!)).toEqual(rowOf(at(1)));
  });
});
