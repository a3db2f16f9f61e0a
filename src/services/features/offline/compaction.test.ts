import { describe, expect, it } from "vitest";
import { chooseFiles } from "./compaction.ts";
import type { CatalogueFile } from "./file-catalogue.ts";

const NOW_MS = Date.UTC(2027, 0, 31);
const MEGABYTE = 1024 * 1024;
const limits = { compactFiles: 4, compactBytes: 100 * MEGABYTE, settledAfterMs: 1000 };

let lastId = 0;
function file(sizeMegabytes: number, day: string | null = "2027-01-31", writtenMs = NOW_MS): CatalogueFile {
  return {
    fileId: String(++lastId),
    datasetId: 1,
    path: "",
    day,
    featureCount: 1,
    rowCount: 1,
    sizeBytes: sizeMegabytes * MEGABYTE,
    minEventTime: 0,
    maxEventTime: 0,
    minCreatedAt: 0,
    maxCreatedAt: writtenMs * 1000,
  };
}
const sizes = (files: readonly CatalogueFile[]) =>
  chooseFiles(files, limits, NOW_MS)?.map(({ sizeBytes }) => sizeBytes / MEGABYTE);

describe("chooseFiles", () => {
  it("waits until there are enough of one day", () => {
    expect(sizes([file(1), file(1), file(1), file(1, "2027-01-30"), file(1, null)])).toBeUndefined();
    expect(sizes([file(1), file(1), file(1), file(1)])).toEqual([1, 1, 1, 1]);
  });

  it("leaves a large file alone until the small ones together have its size", () => {
    expect(sizes([file(50), file(1), file(1), file(2), file(3)])).toEqual([1, 1, 2, 3]);
    expect(sizes([file(5), file(1), file(1), file(2), file(3)])).toEqual([1, 1, 2, 3, 5]);
  });

  it("reads no more at once than it may", () => {
    expect(sizes([file(30), file(30), file(30), file(30), file(30)])).toBeUndefined();
    expect(sizes([file(20), file(20), file(20), file(20), file(30)])).toEqual([20, 20, 20, 20]);
  });

  it("merges a day to which nothing is written any more into one file", () => {
    const settled = NOW_MS - 2000;
    expect(sizes([file(50, "2027-01-01", settled), file(1, "2027-01-01", settled)])).toEqual([1, 50]);
    expect(sizes([file(50, "2027-01-01", settled)])).toBeUndefined();
    expect(sizes([file(50, "2027-01-01", settled), file(60, "2027-01-01", settled)])).toBeUndefined();
  });
});
