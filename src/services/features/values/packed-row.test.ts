import fc from "fast-check";
import { expect, test } from "vitest";
import { FEATURE_TYPES, type FeatureShape, type FeatureType, type StoredValue } from "./feature-type.ts";
import { isNewer, packRow, type RowOrder, readEventTime, readOrder, readValue, stampRow } from "./packed-row.ts";

const DIMENSION = 5;
const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const text = fc.string({ unit: "binary" });

const VALUES: Record<FeatureType, fc.Arbitrary<StoredValue>> = {
  BOOL: fc.boolean(),
  INT64: fc.maxSafeInteger(),
  DOUBLE: number,
  STRING: text,
  BYTES: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
  TIMESTAMP: fc.maxSafeNat(),
  JSON: fc.json(),
  BOOL_LIST: fc.array(fc.boolean()),
  INT64_LIST: fc.array(fc.maxSafeInteger()),
  DOUBLE_LIST: fc.array(number),
  STRING_LIST: fc.array(text),
  TIMESTAMP_LIST: fc.array(fc.maxSafeNat()),
  VECTOR: fc.float32Array({ minLength: DIMENSION, maxLength: DIMENSION, noNaN: true }),
};

interface Cell {
  readonly type: FeatureType;
  readonly value: StoredValue | null | undefined;
}

const cell: fc.Arbitrary<Cell> = fc
  .constantFrom(...FEATURE_TYPES)
  .chain((type) => fc.record({ type: fc.constant(type), value: fc.option(VALUES[type], { freq: 4 }) }));

const shapesOf = (cells: readonly Cell[]): FeatureShape[] =>
  cells.map(({ type }, index) => ({ name: `f${index}`, type, ...(type === "VECTOR" ? { dimension: DIMENSION } : {}) }));

const instant = fc.maxSafeInteger();
const order: fc.Arbitrary<RowOrder> = fc.record({ eventTime: instant, createdAt: instant, sequence: fc.maxSafeNat() });

test("every value comes back from its row, whatever stands beside it and wherever the row lies in memory", () => {
  fc.assert(
    fc.property(fc.array(cell, { maxLength: 140 }), order, fc.nat(9), (cells, at, offset) => {
      const packed = packRow(
        at.eventTime,
        shapesOf(cells),
        cells.map(({ value }) => value),
      );
      stampRow(packed, at.createdAt, at.sequence);
      const row = Buffer.concat([Buffer.alloc(offset, 0xff), packed]).subarray(offset);
      expect(readOrder(row)).toEqual(at);
      expect(readEventTime(row)).toBe(at.eventTime);
      for (const [index, { type, value }] of cells.entries())
        expect(readValue(row, index, type)).toEqual(value ?? null);
    }),
  );
});

test.each([0, 1, 7, 8, 9, 63, 64, 65, 71, 72, 73, 128, 129, 1_000])("%d features do not overlap", (count) => {
  const features = Array.from({ length: count }, (_, index): FeatureShape => ({ name: `f${index}`, type: "DOUBLE" }));
  const values = features.map((_, index) => (index % 3 === 0 ? null : index));
  const row = packRow(1, features, values);
  expect(features.map((_, index) => readValue(row, index, "DOUBLE"))).toEqual(values);
});

test("a reader of a later version finds no value where the row is from before", () => {
  const row = packRow(1, [{ name: "a", type: "DOUBLE" }], [1]);
  expect(readValue(row, 1, "STRING")).toBeNull();
  expect(readValue(packRow(1, [], []), 0, "DOUBLE")).toBeNull();
});

test("empty values are values", () => {
  const cells: Cell[] = [
    { type: "STRING", value: "" },
    { type: "BYTES", value: Buffer.alloc(0) },
    { type: "STRING_LIST", value: [] },
    { type: "BOOL", value: false },
    { type: "DOUBLE", value: -0 },
    { type: "STRING", value: undefined },
  ];
  const row = packRow(
    1,
    shapesOf(cells),
    cells.map(({ value }) => value),
  );
  expect(cells.map(({ type }, index) => readValue(row, index, type))).toEqual([
    "",
    Buffer.alloc(0),
    [],
    false,
    -0,
    null,
  ]);
});

test("equal values make equal bytes, so nothing of other memory gets into a row", () => {
  fc.assert(
    fc.property(fc.array(cell, { maxLength: 20 }), (cells) => {
      const pack = () =>
        packRow(
          7,
          shapesOf(cells),
          cells.map(({ value }) => value),
        );
      const first = pack();
      // What of Node's pool is given out next is anything but zero.
      const { buffer, byteOffset, length } = Buffer.allocUnsafe(8);
      new Uint8Array(buffer).fill(0xff, byteOffset + length);
      expect(pack().equals(first)).toBe(true);
    }),
  );
});

test("bytes that were read do not change with the row's memory", () => {
  const row = packRow(1, [{ name: "a", type: "BYTES" }], [Buffer.from("abc")]);
  const value = readValue(row, 0, "BYTES");
  row.fill(0);
  expect(value).toEqual(Buffer.from("abc"));
});

test("of two rows exactly one is newer unless they are equal, by event time, created time and sequence in turn", () => {
  const near = fc.record({
    eventTime: fc.integer({ min: -1, max: 1 }),
    createdAt: fc.integer({ min: 0, max: 1 }),
    sequence: fc.integer({ min: 0, max: 1 }),
  });
  fc.assert(
    fc.property(fc.oneof(near, order), fc.oneof(near, order), (left, right) => {
      const parts = (at: RowOrder) => [at.eventTime, at.createdAt, at.sequence];
      const differing = parts(left).findIndex((part, index) => part !== parts(right)[index]);
      expect(isNewer(left, right)).toBe(differing >= 0 && parts(left)[differing]! > parts(right)[differing]!);
      expect(isNewer(left, right) && isNewer(right, left)).toBe(false);
    }),
  );
});
