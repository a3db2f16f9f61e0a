import { expect, test } from "vitest";
import { z } from "zod";
import { decodePageToken, encodePageToken } from "./page.ts";

const place = z.strictObject({ after: z.string() });

test("a token brings back the place it was made from", () => {
  expect(decodePageToken(encodePageToken({ after: "ä/🦊" }), place)).toEqual({ after: "ä/🦊" });
});

test("no token and an empty token both mean the first page", () => {
  expect(decodePageToken(undefined, place)).toBeUndefined();
  expect(decodePageToken("", place)).toBeUndefined();
});

test.each(["%%%", "e30", encodePageToken({ after: 1 }), encodePageToken(null), "A".repeat(5000)])(
  "a token nobody gave out is refused and names its field: %.20s",
  (token) => {
    expect(() => decodePageToken(token, place)).toThrowError(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        details: { fields: [expect.objectContaining({ field: "pageToken" })] },
      }),
    );
  },
);

test("a forged token that holds what a database cannot is refused", () => {
  const token = encodePageToken({ after: "a\u0000" });
  expect(() => decodePageToken(token, z.strictObject({ after: z.string() }))).toThrow(
    /must come from an earlier answer/,
  );
});
