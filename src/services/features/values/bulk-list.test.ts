import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { z } from "zod";
import { bulkList } from "./bulk-list.ts";
import { FeatureValues } from "./value-columns.ts";

const anything = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.constantFrom(null, undefined, 2 ** 53, -0, Number.NaN, Number.POSITIVE_INFINITY, new Number(1), [1], {}),
  fc.boolean(),
  fc.string(),
);

test.each([
  ["BOOL", z.boolean()],
  ["INT64", z.int()],
  ["DOUBLE", z.number()],
  ["STRING", z.string()],
] as const)("a list of %s is taken or refused as zod alone would", (type, item) => {
  const slow = z.strictObject({ type: z.literal(type), values: z.array(item.nullable()) });
  fc.assert(
    fc.property(fc.array(anything, { maxLength: 4 }), (values) => {
      const expected = slow.safeParse({ type, values });
      const found = FeatureValues.safeParse({ type, values });
      expect(found.data).toEqual(expected.data);
      expect(found.error?.issues.map(({ path, code }) => ({ path, code }))).toEqual(
        expected.error?.issues.map(({ path, code }) => ({ path, code })),
      );
    }),
  );
});

test("a good list is not looked at item by item, a bad one is refused by its schema", () => {
  const item = z.number();
  const slow = vi.spyOn(item._zod, "run");
  const list = z.strictObject({ values: bulkList(z.array(item).max(2), Number.isFinite, (length) => length <= 2) });
  expect(list.parse({ values: [1, 2] })).toEqual({ values: [1, 2] });
  expect(slow).not.toHaveBeenCalled();
  expect(list.safeParse({ values: [1, "2"] }).error?.issues).toMatchObject([{ path: ["values", 1] }]);
  expect(list.safeParse({ values: [1, 2, 3] }).error?.issues).toMatchObject([{ code: "too_big", path: ["values"] }]);
  expect(list.safeParse({ values: Array(2) }).success).toBe(false);
  expect(list.safeParse({ values: "12" }).success).toBe(false);
});
