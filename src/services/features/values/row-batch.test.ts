import fc from "fast-check";
import { expect, test } from "vitest";
import { packRow, readOrder } from "./packed-row.ts";
import { decodeRowBatch, type EntityRow, encodeRowBatch, MAX_BATCH_ROWS, stampBatch } from "./row-batch.ts";

const rowOf = (eventTime: number, label: string) => packRow(eventTime, [{ name: "f", type: "STRING" }], [label]);

const row: fc.Arbitrary<EntityRow> = fc.record({
  entity: fc.string({ unit: "binary" }),
  row: fc.tuple(fc.maxSafeInteger(), fc.string({ unit: "binary" })).map(([time, label]) => rowOf(time, label)),
});
const batchId = fc.integer({ min: 1, max: 2 ** 37 - 1 });

test("a batch comes back as it was, stamped with its place in the order of all writes", () => {
  fc.assert(
    fc.property(fc.array(row), batchId, fc.maxSafeNat(), (rows, id, createdAt) => {
      const decoded = decodeRowBatch(encodeRowBatch(rows), id, createdAt);
      stampBatch(rows, id, createdAt);
      expect(decoded).toEqual(rows);
      for (const [index, item] of decoded.entries()) {
        expect(readOrder(item.row)).toMatchObject({ createdAt, sequence: id * MAX_BATCH_ROWS + index });
      }
    }),
  );
});

test("the last row of a batch comes before the first of the next", () => {
  const rows = Array.from({ length: MAX_BATCH_ROWS }, () => ({ entity: "", row: rowOf(1, "") }));
  const last = decodeRowBatch(encodeRowBatch(rows), 1, 5).at(-1)!;
  const [first] = decodeRowBatch(encodeRowBatch(rows.slice(0, 1)), 2, 5);
  expect(readOrder(last.row).sequence + 1).toBe(readOrder(first!.row).sequence);
});

test("a batch with too many rows is refused before it is built", () => {
  const rows = new Array<EntityRow>(MAX_BATCH_ROWS + 1).fill({ entity: "", row: rowOf(1, "") });
  expect(() => encodeRowBatch(rows)).toThrowError(`at most ${MAX_BATCH_ROWS} rows`);
});
