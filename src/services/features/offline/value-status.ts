import type { StoredValue } from "../values/feature-type.ts";
import type { Micros } from "../values/micros.ts";
import type { FeatureColumn, ValueStatus } from "./offline-store.ts";

/** A column with what became of each value. No event time: no row was found. */
export function featureColumn(
  values: readonly (StoredValue | null)[],
  eventTimes: readonly (Micros | null)[],
  isOutside: readonly boolean[],
): FeatureColumn {
  const statuses = values.map((value, row): ValueStatus => {
    if (eventTimes[row] === null) return "NOT_FOUND";
    if (isOutside[row]) return "OUTSIDE_MAX_AGE";
    return value === null ? "NULL_VALUE" : "PRESENT";
  });
  return { values: values.map((value, row) => (isOutside[row] ? null : value)), statuses };
}
