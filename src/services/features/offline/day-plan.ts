import { readEventTime } from "../values/packed-row.ts";
import type { EntityRow } from "../values/row-batch.ts";
import { type Day, dayOf } from "./dataset-folder.ts";
import type { OfflineLimits } from "./offline-context.ts";

/** Which file each row goes to. */
export interface DayPlan {
  /** The day of each file; undefined for the one with rows of many days. */
  readonly files: readonly (Day | undefined)[];
  /** For each row the place of its file in `files`. */
  readonly fileOfRow: Uint16Array;
}

/** So many days may be as small as they like: what comes late is mostly of the day before. */
const DAYS_WITHOUT_CONDITION = 4;

/**
 * One file a day, while that makes sense. A batch that reaches far back would make a crowd of tiny
 * files; so days with few rows share one file, and at most `flushFiles` come of one flush.
 */
export function planDays(
  rows: readonly EntityRow[],
  { flushFiles, rowsForOwnFile }: Pick<OfflineLimits, "flushFiles" | "rowsForOwnFile">,
): DayPlan {
  const days = rows.map(({ row }) => dayOf(readEventTime(row)));
  const counts = new Map<Day, number>();
  for (const day of days) counts.set(day, (counts.get(day) ?? 0) + 1);

  const own = [...counts]
    .filter(([, count]) => counts.size <= DAYS_WITHOUT_CONDITION || count >= rowsForOwnFile)
    .sort(([, left], [, right]) => right - left)
    .slice(0, counts.size <= flushFiles ? flushFiles : flushFiles - 1)
    .map(([day]) => day)
    .sort((left, right) => left - right);
  const files: (Day | undefined)[] = own.length === counts.size ? own : [...own, undefined];
  const places = new Map(own.map((day, place) => [day, place]));
  return { files, fileOfRow: Uint16Array.from(days, (day) => places.get(day) ?? own.length) };
}
