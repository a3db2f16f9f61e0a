import { expect, test } from "vitest";
import { z } from "zod";
import { createPageTokens } from "./page.ts";

const place = z.strictObject({ after: z.string() });
const tokens = createPageTokens(place, ["things.list", "default", { kind: "a", state: undefined }]);
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const refusal = (message: RegExp) =>
  expect.objectContaining({
    code: "INVALID_ARGUMENT",
    details: { fields: [{ field: "pageToken", message: expect.stringMatching(message) }] },
  });

test("a token brings back the place it was made from", () => {
  expect(tokens.decode(tokens.encode({ after: "ä/🦊" }))).toEqual({ after: "ä/🦊" });
});

test("no token and an empty token both mean the first page", () => {
  expect(tokens.decode(undefined)).toBeUndefined();
  expect(tokens.decode("")).toBeUndefined();
});

const mark = JSON.parse(Buffer.from(tokens.encode({ after: "" }), "base64url").toString())[0] as string;

test.each([
  "%%%",
  "e30",
  encoded(null),
  encoded([]),
  encoded([1, { after: "a" }]),
  encoded({ after: "a" }),
  encoded([mark, { after: 1 }]),
  encoded([mark, { after: "a" }, "more"]),
  "A".repeat(5000),
])("a token nobody gave out is refused and names its field: %.20s", (token) => {
  expect(() => tokens.decode(token)).toThrowError(refusal(/must come from an earlier answer/));
});

test("a forged token that holds what a database cannot is refused", () => {
  expect(() => tokens.decode(encoded([mark, { after: "a\u0000" }]))).toThrow(
    refusal(/must come from an earlier answer/),
  );
});

test.each([
  [["things.list", "other", { kind: "a" }]],
  [["others.list", "default", { kind: "a" }]],
  [["things.list", "default", { kind: "b" }]],
  [["things.list", "default", {}]],
  [["things.list", "default"]],
])("a token of another list is refused, whatever differs: %j", (list) => {
  const elsewhere = createPageTokens(place, list as [string, ...unknown[]]);
  expect(() => tokens.decode(elsewhere.encode({ after: "a" }))).toThrow(refusal(/another list.*leave it out/));
});

test("the same list is the same in whatever order its filters stand", () => {
  const [one, other] = [
    { a: 1, b: [2] },
    { b: [2], c: undefined, a: 1 },
  ].map((filter) => createPageTokens(place, ["things.list", "default", filter]));
  expect(other!.decode(one!.encode({ after: "a" }))).toEqual({ after: "a" });
});

test("a token says which field it came in", () => {
  const cursors = createPageTokens(place, ["things.watch"], "cursor");
  expect(() => cursors.decode("%%%")).toThrow(expect.objectContaining({ message: expect.stringMatching(/^cursor: /) }));
});
