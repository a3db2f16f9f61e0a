import fc from "fast-check";
import { expect, test } from "vitest";
import type { FeatureShape } from "../values/feature-type.ts";
import { appendFeatures, incompatibilities } from "./compatibility.ts";
import { CreateFeatureGroupRequest, type GroupSchema } from "./group-model.ts";

const A = { name: "a", type: "INT64" } as const;
const B = { name: "b", type: "STRING" } as const;
const C = { name: "c", type: "VECTOR", dimension: 3 } as const;
const KEYS = [
  { name: "user", type: "STRING" },
  { name: "shop", type: "INT64" },
] as const;

function schemaOf(features: readonly FeatureShape[], fields: object = {}): GroupSchema {
  return CreateFeatureGroupRequest.parse({ namespace: "n", group: "g", entityKeys: KEYS, features, ...fields });
}

const rowsOf = (...features: FeatureShape[]) => ({ entityKeys: KEYS, features });
const reasons = (dataset: FeatureShape[], current: FeatureShape[], next: FeatureShape[], fields: object = {}) =>
  incompatibilities(rowsOf(...dataset), schemaOf(current), schemaOf(next, fields));

test("added features, another order of them, and all that is not about rows are compatible", () => {
  expect(reasons([A, B], [A, B], [B, C, A])).toEqual([]);
  const ruled = [{ ...A, description: "new", tags: ["t"], rules: { min: 0 } }, B];
  const fields = { ttlMs: 5, online: false, validation: "QUARANTINE", freshness: { maxAgeMs: 1 } };
  expect(reasons([A, B], [A, B], ruled, fields)).toEqual([]);
});

test("a feature keeps its type and dimension, and is not left out", () => {
  expect(
    reasons(
      [A, C],
      [A, C],
      [
        { ...A, type: "DOUBLE" },
        { ...C, dimension: 4 },
      ],
    ),
  ).toEqual([
    'feature "a" is INT64 there and would be DOUBLE',
    'feature "c" is VECTOR of 3 there and would be VECTOR of 4',
  ]);
  expect(reasons([A, B], [A, B], [A])).toEqual(['feature "b" is left out']);
});

test("what another version put into the rows counts too, but need not be named", () => {
  expect(reasons([A, B], [A], [A])).toEqual([]);
  expect(reasons([A, B], [A], [A, { ...B, type: "BYTES" }])).toEqual([
    'feature "b" is STRING there and would be BYTES',
  ]);
});

test("entity keys stay, in their order and with their types", () => {
  const [user, shop] = KEYS;
  for (const entityKeys of [[shop, user], [user], [user, shop, { name: "x", type: "STRING" }]]) {
    expect(reasons([A], [A], [A], { entityKeys })).toEqual([expect.stringContaining("the entity keys are (user")]);
  }
  expect(reasons([A], [A], [A], { entityKeys: [user, { ...shop, type: "STRING" }] })).toHaveLength(1);
  expect(reasons([A], [A], [A], { entityKeys: [{ ...user, description: "who" }, shop] })).toEqual([]);
});

test("rows have a bounded number of features, however many versions were staged", () => {
  const many = (from: number) =>
    Array.from({ length: 999 }, (_, index): FeatureShape => ({ ...B, name: `f${from + index}` }));
  const rows = [A, ...many(0), ...many(999)];
  expect(reasons(rows, [A], [A, B])).toEqual([]);
  expect(reasons(rows, [A], [A, B, C])).toEqual([expect.stringContaining("more than 2000 features")]);
});

test("whatever compatible versions come, no feature of the rows ever moves or changes", () => {
  const names = fc.constantFrom("a", "b", "c", "d", "e");
  const types = fc.constantFrom("INT64", "STRING", "BOOL");
  const feature = fc.record({ name: names, type: types });
  const schema = fc.uniqueArray(feature, { minLength: 1, selector: ({ name }) => name });
  fc.assert(
    fc.property(schema, fc.array(schema, { maxLength: 8 }), (first, later) => {
      let rows: readonly FeatureShape[] = first;
      let current: readonly FeatureShape[] = first;
      for (const next of later) {
        if (incompatibilities({ entityKeys: KEYS, features: rows }, schemaOf(current), schemaOf(next)).length > 0)
          continue;
        const appended = appendFeatures(rows, next);
        expect(appended.slice(0, rows.length)).toEqual(rows);
        for (const { name, type } of next) expect(appended.find((one) => one.name === name)?.type).toBe(type);
        expect(new Set(appended.map(({ name }) => name)).size).toBe(appended.length);
        rows = appended;
        current = next;
      }
    }),
  );
});
