import { describe, expect, it } from "vitest";
import { MICROS_PER_DAY } from "../values/micros.ts";
import { packRow } from "../values/packed-row.ts";
import { planDays } from "./day-plan.ts";

/** One row for each of these days. */
function rowsOf(days: readonly number[]) {
  return days.map((day) => ({ entity: '["a"]', row: packRow(day * MICROS_PER_DAY + 1, [], []) }));
}

const repeat = (day: number, count: number) => Array.from({ length: count }, () => day);

describe("planDays", () => {
  const limits = { flushFiles: 6, rowsForOwnFile: 3 };

  it("gives each of a few days its own file, however small", () => {
    const plan = planDays(rowsOf([20, 10, 20]), limits);
    expect(plan.files).toEqual([10, 20]);
    expect([...plan.fileOfRow]).toEqual([1, 0, 1]);
  });

  it("puts small days together where there are many", () => {
    const plan = planDays(rowsOf([...repeat(1, 3), 2, 3, 4, 5]), limits);
    expect(plan.files).toEqual([1, undefined]);
    expect([...plan.fileOfRow]).toEqual([0, 0, 0, 1, 1, 1, 1]);
  });

  it("never makes more files than it may, the largest days first", () => {
    const days = Array.from({ length: 10 }, (_, day) => repeat(day, 3 + day)).flat();
    const plan = planDays(rowsOf(days), limits);
    expect(plan.files).toEqual([5, 6, 7, 8, 9, undefined]);
  });

  it("needs no file for the rest where there is none", () => {
    const days = Array.from({ length: 6 }, (_, day) => repeat(day, 3)).flat();
    expect(planDays(rowsOf(days), limits).files).toEqual([0, 1, 2, 3, 4, 5]);
  });
});
