import { describe, expect, test } from "vitest";
import type { ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { FeatureDefinition } from "../definitions/group-model.ts";
import { microsFromText } from "../values/micros.ts";
import { readEventTime, readValue } from "../values/packed-row.ts";
import { compileRowChecker } from "./row-checker.ts";
import type { FeatureRow } from "./write-model.ts";

const NOW = microsFromText("2027-01-31T12:00:00Z")!;
const TIME = "2027-01-31T11:00:00.000001Z";

/** A version whose packed rows have a feature of an earlier version in front. */
function versionWith(features: FeatureDefinition[], more: Partial<ResolvedVersion> = {}): ResolvedVersion {
  return {
    namespace: "default",
    group: "g",
    version: 2,
    dataset: {
      datasetId: 1,
      namespace: "default",
      group: "g",
      firstVersion: 1,
      entityKeys: [
        { name: "user", type: "STRING" },
        { name: "shop", type: "INT64" },
      ],
      features: [{ name: "earlier", type: "BOOL" }, ...features],
    },
    features,
    places: features.map((_, index) => index + 1),
    ttlMs: undefined,
    online: true,
    offline: true,
    validation: "STRICT",
    freshness: { maxAheadMs: 3_600_000 },
    ...more,
  };
}

function row(values: FeatureRow["values"], more: Partial<FeatureRow> = {}): FeatureRow {
  return { entity: { user: "u", shop: 1 }, values, eventTime: TIME, ...more };
}

function problemsOf(version: ResolvedVersion, ...rows: FeatureRow[]) {
  const checker = compileRowChecker(version)(NOW);
  return rows.map((given) => {
    const checked = checker.named(given);
    return "problems" in checked ? checked.problems.map(({ field, message }) => `${field}: ${message}`) : [];
  });
}

describe("a row of a feature group", () => {
  const version = versionWith([
    { name: "clicks", type: "INT64" },
    { name: "tags", type: "STRING_LIST" },
  ]);

  test("is packed where the dataset has its features", () => {
    const checked = compileRowChecker(version)(NOW).named(row({ tags: ["a"], clicks: 3 }));
    if (!("row" in checked)) throw new Error("refused");
    expect(checked.row.entity).toBe('["u",1]');
    expect(readEventTime(checked.row.row)).toBe(microsFromText(TIME));
    expect(readValue(checked.row.row, 0, "BOOL")).toBeNull();
    expect(readValue(checked.row.row, 1, "INT64")).toBe(3);
    expect(readValue(checked.row.row, 2, "STRING_LIST")).toEqual(["a"]);
  });

  test("is the same by places as by names", () => {
    const checker = compileRowChecker(version)(NOW);
    const byPlace = checker.placed(["u", 1], [3, null], microsFromText(TIME)!);
    expect(byPlace).toEqual(checker.named(row({ clicks: 3 })));
  });

  test("names all that is wrong with it, also what every object has", () => {
    expect(
      problemsOf(version, row({ clicks: "3", toString: 1, tags: "a" }, { entity: { user: "u", shop: 0.5 } })),
    ).toEqual([
      [
        "values.toString: is not a feature of g@v2",
        "entity.shop: must be a whole number within ±9007199254740991 (2^53 - 1)",
        "values.clicks: must be a whole number",
        "values.tags: must be a list",
      ],
    ]);
    expect(problemsOf(version, row({}, { entity: { user: "u", city: "x" } }))).toEqual([
      ["entity.city: is not an entity key of g@v2", "entity.shop: is required: an entity without it has no name"],
    ]);
    expect(problemsOf(versionWith([{ name: "constructor", type: "BOOL", rules: { notNull: true } }]), row({}))).toEqual(
      [["values.constructor: must have a value"]],
    );
  });

  test("may not come from too far in the future, nor be too old", () => {
    const strict = versionWith([], { freshness: { maxAheadMs: 0, maxAgeMs: 60_000 } });
    const at = (eventTime: string) => problemsOf(strict, row({}, { eventTime }))[0];
    expect(at("2027-01-31T12:00:00Z")).toEqual([]);
    expect(at("2027-01-31T12:00:00.000001Z")).toEqual([
      "eventTime: lies too far in the future: g@v2 takes rows up to 2027-01-31T12:00:00.000Z",
    ]);
    expect(at("2027-01-31T11:59:00Z")).toEqual([]);
    expect(at("2027-01-31T11:58:59.999999Z")).toEqual([
      "eventTime: is too old: g@v2 takes rows from 2027-01-31T11:59:00.000Z on",
    ]);
  });
});

describe("rules", () => {
  const check = (feature: Omit<FeatureDefinition, "name">, value: FeatureRow["values"][string]) =>
    problemsOf(versionWith([{ name: "f", ...feature }]), row({ f: value }))[0]!.map((text) =>
      text.slice("values.f: ".length),
    );

  test.each<[string, Omit<FeatureDefinition, "name">, FeatureRow["values"][string], string | undefined]>([
    ["min, kept", { type: "INT64", rules: { min: 1 } }, 1, undefined],
    ["min", { type: "INT64", rules: { min: 1 } }, 0, "must be at least 1"],
    ["max", { type: "DOUBLE", rules: { max: 1 } }, 1.1, "must be at most 1"],
    [
      "both, of items",
      { type: "DOUBLE_LIST", rules: { min: 0, max: 1 } },
      [0, 2],
      "must be between 0 and 1, every item of it",
    ],
    ["a set, kept", { type: "STRING", rules: { allowedValues: ["a", "b"] } }, "b", undefined],
    ["a set", { type: "STRING", rules: { allowedValues: ["a", "b"] } }, "c", 'must be one of "a","b"'],
    ["a pattern, kept", { type: "STRING", rules: { pattern: "[A-Z]{2}" } }, "DE", undefined],
    ["a pattern, of the whole text", { type: "STRING", rules: { pattern: "[A-Z]{2}" } }, "DEU", "must match [A-Z]{2}"],
    ["a length", { type: "STRING", rules: { minLength: 2, maxLength: 3 } }, "a", "must have 2 to 3 characters"],
    ["a length of bytes", { type: "BYTES", rules: { minLength: 2 } }, "AA==", "must have at least 2 bytes"],
    ["a number of items", { type: "BOOL_LIST", rules: { maxLength: 1 } }, [true, false], "must have 0 to 1 items"],
    ["a value that must be there", { type: "JSON", rules: { notNull: true } }, null, "must have a value"],
    ["none for what may be absent", { type: "INT64", rules: { min: 1 } }, null, undefined],
  ])("%s", (_what, feature, value, problem) => {
    expect(check(feature, value)).toEqual(problem === undefined ? [] : [problem]);
  });

  test("a pattern that would never end elsewhere ends", () => {
    const evil = { type: "STRING", rules: { pattern: "(a+)+b" } } as const;
    expect(check(evil, "a".repeat(50_000))).toEqual(["must match (a+)+b"]);
  });

  test("unique holds within one write", () => {
    const version = versionWith([{ name: "f", type: "STRING", rules: { unique: true } }]);
    const twice = [row({ f: "x" }), row({ f: "y" }), row({ f: "x" }), row({}), row({})];
    const problem = "values.f: must be unique: another row of this write has the same value";
    expect(problemsOf(version, ...twice)).toEqual([[], [], [problem], [], []]);
    expect(problemsOf(version, row({ f: "x" }))).toEqual([[]]);
  });
});
