import fc from "fast-check";
import { expect, test } from "vitest";
import { microsFromText, microsToText } from "./micros.ts";

test.each([
  ["1970-01-01T00:00:00Z", 0],
  ["1970-01-01T00:00:00.000001Z", 1],
  ["1970-01-01t00:00:01z", 1_000_000],
  ["1970-01-01T01:00:00.5+01:00", 500_000],
  ["1969-12-31T23:59:59.999999Z", -1],
  ["1970-01-01T00:00:00.000001999Z", 1],
  ["2028-02-29T00:00:00Z", Date.UTC(2028, 1, 29) * 1000],
  ["2027-01-31T23:59:59-23:59", Date.UTC(2027, 1, 1, 23, 58, 59) * 1000],
])("%s is %d", (text, micros) => {
  expect(microsFromText(text)).toBe(micros);
});

test.each([
  "",
  "2027-01-31",
  "2027-01-31T00:00:00",
  "2027-01-31 00:00:00Z",
  "2027-02-29T00:00:00Z",
  "2027-02-30T00:00:00Z",
  "2027-04-31T00:00:00Z",
  "2027-13-01T00:00:00Z",
  "2027-00-10T00:00:00Z",
  "2027-01-00T00:00:00Z",
  "2027-01-01T24:00:00Z",
  "2027-01-01T23:60:00Z",
  "2027-01-01T23:59:60Z",
  "2027-01-01T00:00:00+24:00",
  "2027-01-01T00:00:00.Z",
  "2027-01-01T00:00:00.0000000000Z",
  "+012027-01-01T00:00:00Z",
  " 2027-01-01T00:00:00Z",
  "2027-01-01T00:00:00Z\n",
])("%j is no time", (text) => {
  expect(microsFromText(text)).toBeUndefined();
});

test("a time comes back from its text to the microsecond", () => {
  const latest = Date.UTC(2255, 0, 1) * 1000;
  fc.assert(
    fc.property(fc.integer({ min: -latest, max: latest }), (micros) => {
      const text = microsToText(micros);
      expect(microsFromText(text)).toBe(micros);
      expect(new Date(text).getTime()).toBe(Math.floor(micros / 1000));
    }),
  );
});

test("microseconds are written only where there are any", () => {
  expect(microsToText(1_000)).toBe("1970-01-01T00:00:00.001Z");
  expect(microsToText(1_001)).toBe("1970-01-01T00:00:00.001001Z");
  expect(microsToText(-1)).toBe("1969-12-31T23:59:59.999999Z");
});
