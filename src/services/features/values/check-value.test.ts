import { expect, test } from "vitest";
import { checkValue, MAX_LIST_ITEMS, MAX_VALUE_BYTES } from "./check-value.ts";
import { FEATURE_TYPES, type FeatureShape, type FeatureType } from "./feature-type.ts";

const shape = (type: FeatureType): FeatureShape => ({
  name: "f",
  type,
  ...(type === "VECTOR" ? { dimension: 3 } : {}),
});
const check = (type: FeatureType, value: unknown) => checkValue(value, shape(type));
const deep = (levels: number): unknown => (levels === 0 ? 1 : [deep(levels - 1)]);

test.each<[FeatureType, unknown, unknown]>([
  ["BOOL", false, false],
  ["INT64", -(2 ** 53 - 1), -(2 ** 53 - 1)],
  ["DOUBLE", 5e-324, 5e-324],
  ["STRING", "", ""],
  ["STRING", "€".repeat(MAX_VALUE_BYTES / 4), "€".repeat(MAX_VALUE_BYTES / 4)],
  ["BYTES", "", Buffer.alloc(0)],
  ["BYTES", "AAE=", Buffer.from([0, 1])],
  ["BYTES", Buffer.alloc(MAX_VALUE_BYTES).toString("base64"), Buffer.alloc(MAX_VALUE_BYTES)],
  ["TIMESTAMP", "1970-01-01T00:00:00.000001Z", 1],
  ["JSON", { a: [1, null] }, '{"a":[1,null]}'],
  ["BOOL_LIST", [true, false], [true, false]],
  ["INT64_LIST", [], []],
  ["DOUBLE_LIST", [0.1, -1], [0.1, -1]],
  ["STRING_LIST", ["a", ""], ["a", ""]],
  ["TIMESTAMP_LIST", ["1970-01-01T00:00:00Z"], [0]],
  ["VECTOR", [0.5, 1, 16_777_217], Float32Array.from([0.5, 1, 16_777_216])],
])("%s takes %j", (type, value, kept) => {
  expect(check(type, value)).toEqual({ value: kept });
});

test("an INT64 has one zero, so that equal values are equal", () => {
  expect(Object.is((check("INT64", -0) as { value: number }).value, 0)).toBe(true);
});

test.each<[FeatureType, unknown]>([
  ["BOOL", 1],
  ["BOOL", "true"],
  ["INT64", 2 ** 53],
  ["INT64", 0.5],
  ["INT64", "1"],
  ["INT64", Number.POSITIVE_INFINITY],
  ["DOUBLE", Number.NaN],
  ["DOUBLE", Number.NEGATIVE_INFINITY],
  ["DOUBLE", "1.5"],
  ["STRING", 1],
  ["STRING", "\u0000"],
  ["STRING", "\udc00"],
  ["STRING", "€".repeat(MAX_VALUE_BYTES / 2)],
  ["BYTES", "AAE"],
  ["BYTES", "AA-_"],
  ["BYTES", " AAE="],
  ["BYTES", [0]],
  ["BYTES", Buffer.alloc(MAX_VALUE_BYTES + 1).toString("base64")],
  ["BYTES", "A".repeat(20_000_000)],
  ["TIMESTAMP", 0],
  ["TIMESTAMP", "yesterday"],
  ["TIMESTAMP", "1969-12-31T23:59:59.999999Z"],
  ["TIMESTAMP", "2200-01-01T00:00:00Z"],
  ["JSON", "\u0000"],
  ["JSON", undefined],
  ["JSON", deep(1_000)],
  ["JSON", "x".repeat(MAX_VALUE_BYTES)],
  ["BOOL_LIST", [true, null]],
  ["INT64_LIST", { length: 0 }],
  ["DOUBLE_LIST", [[1]]],
  ["DOUBLE_LIST", new Array(MAX_LIST_ITEMS + 1).fill(0)],
  ["STRING_LIST", ["x".repeat(MAX_VALUE_BYTES / 2), "x".repeat(MAX_VALUE_BYTES / 2 + 1)]],
  ["TIMESTAMP_LIST", ["1970-01-01T00:00:00Z", "1970-02-30T00:00:00Z"]],
  ["VECTOR", [1, 2]],
  ["VECTOR", [1, 2, 3, 4]],
  ["VECTOR", [1, 2, Number.NaN]],
  ["VECTOR", [1, 2, 3.5e38]],
  ["VECTOR", new Float32Array(3)],
])("%s refuses what it must", (type, value) => {
  expect(check(type, value)).toEqual({ problem: expect.stringMatching(/^(\[\d+\] )?must/) });
});

test("no type takes an object, an empty text or a function for something else", () => {
  for (const type of FEATURE_TYPES.filter((name) => name !== "JSON")) {
    expect(check(type, {})).toHaveProperty("problem");
    expect(check(type, () => 1)).toHaveProperty("problem");
  }
});
