import { describe, expect, test } from "vitest";
import { schemaProblems } from "./check-schema.ts";
import { CreateFeatureGroupRequest } from "./group-model.ts";

function problemsOf(fields: object): readonly string[] {
  const {
    namespace: _,
    group: __,
    description: ___,
    owner: ____,
    tags: _____,
    ...schema
  } = CreateFeatureGroupRequest.parse({
    namespace: "n",
    group: "g",
    entityKeys: [{ name: "id", type: "STRING" }],
    features: [{ name: "a", type: "INT64" }],
    ...fields,
  });
  return schemaProblems(schema).map(({ field, message }) => `${field} ${message}`);
}

const ruled = (type: string, rules: object) => problemsOf({ features: [{ name: "a", type, rules }] });

test("names are unique among features, among entity keys, and across both", () => {
  const keys = [
    { name: "id", type: "STRING" },
    { name: "id", type: "INT64" },
  ];
  const features = ["a", "b", "a", "id"].map((name) => ({ name, type: "BOOL" }));
  expect(problemsOf({ entityKeys: keys, features })).toEqual([
    "entityKeys[1].name is the name of entityKeys[0] too",
    "features[2].name is the name of features[0] too",
    "features[3].name is the name of entityKeys[0] too",
  ]);
});

test("a vector has a dimension, and nothing else has", () => {
  const features = [
    { name: "a", type: "VECTOR" },
    { name: "b", type: "DOUBLE_LIST", dimension: 3 },
    { name: "c", type: "VECTOR", dimension: 3 },
  ];
  expect(problemsOf({ features })).toEqual([
    "features[0].dimension is required for VECTOR",
    "features[1].dimension is for VECTOR alone, and this is DOUBLE_LIST",
  ]);
});

describe("rules fit their type", () => {
  const good: readonly [type: string, rules: object][] = [
    ["INT64", { notNull: true, min: -1, max: 1, unique: true, allowedValues: [0, 1] }],
    ["DOUBLE_LIST", { min: 0.5, max: 0.5, minLength: 1, maxLength: 1 }],
    ["STRING", { pattern: "[a-z]+", minLength: 0, maxLength: 5, allowedValues: ["a"], unique: true }],
    ["BOOL", { allowedValues: [true], unique: false }],
    ["JSON", { notNull: false, unique: false }],
    ["TIMESTAMP", { unique: true }],
    ["BYTES", { minLength: 1 }],
  ];
  test.each(good)("%s takes %j", (type, rules) => {
    expect(ruled(type, rules)).toEqual([]);
  });

  const bad: readonly [type: string, rules: object, field: string, says: string][] = [
    ["INT64", { pattern: "a" }, "pattern", "cannot hold for values of type INT64"],
    ["STRING", { min: 0 }, "min", "cannot hold for values of type STRING"],
    ["BOOL", { maxLength: 1 }, "maxLength", "cannot hold"],
    ["JSON", { allowedValues: [1] }, "allowedValues", "cannot hold"],
    ["STRING_LIST", { unique: true }, "unique", "cannot hold"],
    ["TIMESTAMP", { max: 1 }, "max", "cannot hold"],
    ["DOUBLE", { min: 2, max: 1 }, "max", "must not be less than min"],
    ["STRING", { minLength: 2, maxLength: 1 }, "maxLength", "must not be less than minLength"],
    ["STRING", { pattern: "(?=a)" }, "pattern", "is no regular expression in RE2 syntax"],
    ["STRING", { pattern: "(((a{100}){100}){100})" }, "pattern", "invalid repeat count"],
    ["INT64", { allowedValues: [1, 1.5] }, "allowedValues[1]", "must be a whole number"],
    ["STRING", { allowedValues: [null] }, "allowedValues[0]", "must be a text"],
  ];
  test.each(bad)("%s does not take %j", (type, rules, field, says) => {
    const problems = ruled(type, rules);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`features[0].rules.${field} `);
    expect(problems[0]).toContain(says);
  });
});

test("what is kept nowhere, what is too long to send and what takes too long to check are refused", () => {
  expect(problemsOf({ online: false, offline: false })).toEqual([expect.stringContaining("offline must be true")]);
  expect(problemsOf({ online: false })).toEqual([]);
  const many = (count: number, more: object) =>
    Array.from({ length: count }, (_, index) => ({ name: `f${index}`, type: "STRING", ...more }));
  expect(problemsOf({ features: many(300, { description: "d".repeat(2000) }) })).toEqual([
    expect.stringContaining("features must not be longer than"),
  ]);
  expect(problemsOf({ features: many(100, { rules: { pattern: "a" } }) })).toEqual([]);
  expect(problemsOf({ features: many(101, { rules: { pattern: "a" } }) })).toEqual([
    expect.stringContaining("features[100].rules.pattern is one more than"),
  ]);
});
