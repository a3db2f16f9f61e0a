import fc from "fast-check";
import { expect, test } from "vitest";
import { checkEntityKey, type EntityKeyShape, entityText, readEntityText } from "./entity-key.ts";

const id: EntityKeyShape = { name: "id", type: "INT64" };
const name: EntityKeyShape = { name: "name", type: "STRING" };

test("values of the key's type pass, and zero has one form", () => {
  expect(checkEntityKey(2 ** 53 - 1, id)).toEqual({ value: 2 ** 53 - 1 });
  expect(Object.is((checkEntityKey(-0, id) as { value: number }).value, 0)).toBe(true);
  expect(checkEntityKey("x".repeat(512), name)).toEqual({ value: "x".repeat(512) });
});

test.each([
  [undefined, id],
  [null, name],
  ["1", id],
  [1.5, id],
  [2 ** 53, id],
  [Number.NaN, id],
  [1, name],
  ["", name],
  ["x".repeat(513), name],
  ["\u0000", name],
  ["\ud800", name],
  [["a"], name],
])("%j is refused with a reason", (value, shape) => {
  expect(checkEntityKey(value, shape)).toEqual({ problem: expect.stringMatching(/^(must|is required)/) });
});

const values = fc.array(fc.oneof(fc.maxSafeInteger(), fc.string({ unit: "binary" })), { minLength: 1, maxLength: 4 });

test("an entity's values come back from its text", () => {
  fc.assert(
    fc.property(values, (entity) => {
      expect(readEntityText(entityText(entity))).toEqual(entity.map((value) => (value === 0 ? 0 : value)));
    }),
  );
});

test("different entities have different texts, whatever separators are in them", () => {
  const part = fc.oneof(
    fc.integer({ min: 0, max: 11 }),
    fc.string({ unit: fc.constantFrom("1", '"', ",", "[", "\\") }),
  );
  const entity = fc.array(part, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(entity, entity, (left, right) => {
      const equal = left.length === right.length && left.every((value, index) => value === right[index]);
      expect(entityText(left) === entityText(right)).toBe(equal);
    }),
    { numRuns: 1_000 },
  );
});
