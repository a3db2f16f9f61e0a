import fc from "fast-check";
import { expect, test } from "vitest";
import { findJsonSyntaxError } from "./json-syntax.ts";

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** JSON with one character taken out, put in or exchanged, of the kind that people mistype. */
const damagedJson = fc
  .record({
    text: fc.json({ maxDepth: 3 }),
    at: fc.nat(),
    removed: fc.nat(1),
    inserted: fc.constantFrom("", ",", '"', "}", "]", "{", "[", ":", "\\", "-", "0", ".", "e", "x", "\n", "null", " "),
  })
  .map(({ text, at, removed, inserted }) => {
    const index = at % (text.length + 1);
    return text.slice(0, index) + inserted + text.slice(index + removed);
  });

test("it finds a mistake just where JSON.parse does", () => {
  fc.assert(
    fc.property(damagedJson, (text) => {
      const { position, expected } = findJsonSyntaxError(text);
      const readsToTheEnd = position === text.length && expected === "the end of the body";
      expect(readsToTheEnd).toBe(isJson(text));
    }),
    { numRuns: 3_000 },
  );
});

test.each([
  ["a long string", `["${"x".repeat(20_000_000)}`, 20_000_002],
  ["deep nesting", "[".repeat(1_000_000), 1_000_000],
])("%s does not run it out of stack", (_name, text, position) => {
  expect(findJsonSyntaxError(text).position).toBe(position);
});
