import { describe, expect, it } from "vitest";
import type { Dataset } from "../values/dataset.ts";
import { dayOf, dayText, fileIdOf, filePath, hiddenPath, insideOf } from "./dataset-folder.ts";

const dataset: Dataset = {
  datasetId: 12,
  namespace: "default",
  group: "user_features",
  firstVersion: 3,
  entityKeys: [],
  features: [],
};
const ID = "0190f5d0-0000-7000-8000-000000000000";

describe("where files are", () => {
  it("names the folder of a day in UTC", () => {
    const midnight = Date.UTC(2027, 0, 31) * 1000;
    expect([midnight - 1, midnight].map((time) => dayText(dayOf(time)))).toEqual(["2027-01-30", "2027-01-31"]);
    const path = filePath(dataset, "2027-01-31", ID);
    expect(path).toBe(`groups/default/user_features/v3-12/day=2027-01-31/${ID}.parquet`);
    expect(filePath(dataset, undefined, ID)).toContain("/day=mixed/");
    expect(hiddenPath(path)).toBe(`groups/default/user_features/v3-12/day=2027-01-31/.writing-${ID}.parquet`);
  });

  it("knows its files by their names", () => {
    expect(fileIdOf(`${ID}.parquet`)).toEqual({ fileId: ID, hidden: false });
    expect(fileIdOf(`.writing-${ID}.parquet`)).toEqual({ fileId: ID, hidden: true });
    for (const other of ["a.parquet", `${ID}.csv`, `x${ID}.parquet`]) expect(fileIdOf(other)).toBeUndefined();
  });

  it.each(["..", "../x", "a/b", ".hidden", "", "a\0b"])("makes no folder of the name %j", (name) => {
    expect(() => filePath({ ...dataset, group: name }, undefined, ID)).toThrow(RangeError);
    expect(() => filePath({ ...dataset, namespace: name }, undefined, ID)).toThrow(RangeError);
  });

  it("takes every name that definitions take", () => {
    const path = filePath({ ...dataset, namespace: "a..b", group: "c._-d" }, undefined, ID);
    expect(insideOf("/data", path)).toBe(`/data/groups/a..b/c._-d/v3-12/day=mixed/${ID}.parquet`);
  });

  it("lets no path out of the data folder", () => {
    expect(insideOf("/data", "features/a")).toBe("/data/features/a");
    expect(insideOf("/data", "/data/a")).toBe("/data/a");
    for (const path of ["..", "../data2/a", "/data", "/data2/a", "a/../../b"]) {
      expect(() => insideOf("/data", path), path).toThrow(RangeError);
    }
  });
});
