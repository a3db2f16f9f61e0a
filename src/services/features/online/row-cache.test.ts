import { expect, test } from "vitest";
import { packRow, stampRow } from "../values/packed-row.ts";
import { createRowCache } from "./row-cache.ts";

const rowOf = (eventTime: number, sizeBytes = 0) => {
  const row = packRow(eventTime, [{ name: "f", type: "BYTES" }], [Buffer.alloc(sizeBytes)]);
  stampRow(row, 0, 0);
  return row;
};
const ALWAYS = Number.NEGATIVE_INFINITY;
const roomy = { maxEntries: 100, maxBytes: 1_000_000 };

test("serves an entry only to those who may have one as old", () => {
  const cache = createRowCache(roomy);
  cache.fill("k", rowOf(1), 50);
  cache.fill("absent", undefined, 50);
  expect(cache.get("k", 50)?.row).toEqual(rowOf(1));
  expect(cache.get("absent", 50)).toEqual({ row: undefined, asOfMs: 50 });
  expect(cache.get("k", 51)).toBeUndefined();
  expect(cache.get("other", ALWAYS)).toBeUndefined();
});

test("an answer to an earlier question does not replace that to a later one", () => {
  const cache = createRowCache(roomy);
  cache.fill("k", rowOf(2), 20);
  cache.fill("k", rowOf(1), 10);
  expect(cache.get("k", ALWAYS)).toEqual({ row: rowOf(2), asOfMs: 20 });
  cache.fill("k", undefined, 30);
  expect(cache.get("k", ALWAYS)).toEqual({ row: undefined, asOfMs: 30 });
});

test("a written row advances an entry without making it younger, and makes none", () => {
  const cache = createRowCache(roomy);
  cache.fill("k", rowOf(5), 50);
  cache.fill("absent", undefined, 50);
  for (const key of ["k", "absent", "unknown"]) cache.advance(key, rowOf(6));
  cache.advance("k", rowOf(4));
  expect(cache.get("k", ALWAYS)).toEqual({ row: rowOf(6), asOfMs: 50 });
  expect(cache.get("absent", ALWAYS)).toEqual({ row: rowOf(6), asOfMs: 50 });
  expect(cache.get("unknown", ALWAYS)).toBeUndefined();
});

test("the entry that was not used for longest makes room", () => {
  const cache = createRowCache({ ...roomy, maxEntries: 3 });
  for (const key of ["a", "b", "c"]) cache.fill(key, rowOf(1), 0);
  cache.get("a", ALWAYS);
  cache.fill("d", rowOf(1), 0);
  expect(["a", "b", "c", "d"].filter((key) => cache.get(key, ALWAYS))).toEqual(["a", "c", "d"]);
  expect(cache.usage().entries).toBe(3);
});

test("bytes are bounded, and given back", () => {
  const cache = createRowCache({ maxEntries: 1_000, maxBytes: 50_000 });
  for (let index = 0; index < 200; index += 1) {
    cache.fill(`k${index}`, rowOf(1, 2_000), index);
    expect(cache.usage().sizeBytes).toBeLessThanOrEqual(50_000);
  }
  expect(cache.usage().entries).toBeGreaterThan(15);
  expect(cache.get("k199", ALWAYS)).toBeDefined();
  cache.removeAll("k");
  expect(cache.usage()).toEqual({ entries: 0, sizeBytes: 0 });
});

test("a row that would drive out many others is not kept, nor is the one before it", () => {
  const cache = createRowCache({ maxEntries: 1_000, maxBytes: 50_000 });
  cache.fill("k", rowOf(1), 0);
  cache.fill("other", rowOf(1), 0);
  cache.fill("k", rowOf(2, 10_000), 1);
  expect(cache.get("k", ALWAYS)).toBeUndefined();
  expect(cache.get("other", ALWAYS)).toBeDefined();
});

test("a row does not keep the buffer that it came in", () => {
  const cache = createRowCache(roomy);
  const chunk = Buffer.alloc(65_536);
  const row = rowOf(1);
  row.copy(chunk, 100);
  cache.fill("k", chunk.subarray(100, 100 + row.length), 0);
  expect(cache.get("k", ALWAYS)!.row!.buffer.byteLength).toBe(row.length);
});
