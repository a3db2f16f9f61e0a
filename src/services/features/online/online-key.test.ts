import { expect, test } from "vitest";
import { onlineKey, SHARD_COUNT, shardOf, slotOf } from "./online-key.ts";

test("keys keep their form: changing it would forget all rows", () => {
  const entity = '["user-1"]';
  expect(onlineKey(12, shardOf(entity), entity)).toBe('tarl:features:{12:4}:["user-1"]');
});

test("what Redis hashes is the dataset and the shard, whatever is in the entity", () => {
  for (const entity of ["{a}", "}", "{}", "}{b}", "{12:1}"]) {
    const key = onlineKey(12, 3, entity);
    const open = key.indexOf("{");
    expect(key.slice(open + 1, key.indexOf("}", open + 1))).toBe("12:3");
    expect(slotOf(key)).toBe("tarl:features:{12:3");
  }
});

test.each([
  ["numbers", (index: number) => JSON.stringify([index])],
  ["names with a number", (index: number) => JSON.stringify([`user-${index}`])],
  ["numbers that end alike", (index: number) => JSON.stringify([index * 1_000])],
  ["two keys", (index: number) => JSON.stringify([`user-${index % 100}`, Math.floor(index / 100)])],
])("%s spread evenly over all shards", (_, entity) => {
  const counts = new Array<number>(SHARD_COUNT).fill(0);
  for (let index = 0; index < 64_000; index += 1) counts[shardOf(entity(index))]! += 1;
  expect(Math.min(...counts)).toBeGreaterThan(600);
  expect(Math.max(...counts)).toBeLessThan(1_600);
});
