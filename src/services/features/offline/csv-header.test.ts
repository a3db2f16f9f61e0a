import { describe, expect, it } from "vitest";
import { readCsvHeader } from "./csv-header.ts";

describe("the header of a CSV file", () => {
  it("is read with and without quotes, a byte order mark and carriage returns", () => {
    expect(readCsvHeader("a,b\n1,2\n")).toEqual(["a", "b"]);
    expect(readCsvHeader('\ufeff"a ""b"", c",d\r\n')).toEqual(['a "b", c', "d"]);
    expect(readCsvHeader('a,,"two\nlines"\n')).toEqual(["a", "", "two\nlines"]);
  });

  it("is none where it does not end", () => {
    expect(readCsvHeader("a,b")).toBeUndefined();
    expect(readCsvHeader('a,"b\n')).toBeUndefined();
  });
});
