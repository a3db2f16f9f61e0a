import type { EntityKeyValue } from "../../values/entity-key.ts";
import type { StoredValue } from "../../values/feature-type.ts";
import type { Micros } from "../../values/micros.ts";
import { isNewer, type RowOrder } from "../../values/packed-row.ts";
import type { KnownAt, ValueStatus } from "../offline-store.ts";

/** A row that was written once, as plain data. */
export interface HistoryRow extends RowOrder {
  readonly keys: readonly EntityKeyValue[];
  readonly values: readonly (StoredValue | null)[];
}

export interface OracleQuestion {
  readonly keys: readonly (EntityKeyValue | null)[];
  readonly time: Micros;
}

export interface OracleAnswer {
  readonly eventTime: Micros | null;
  readonly values: readonly (StoredValue | null)[];
  readonly statuses: readonly ValueStatus[];
}

/**
 * What a point-in-time read must answer, said as plainly as it can be: look at every row, keep
 * those of the entity that may be seen, take the newest.
 */
export function answerPointInTime(
  history: readonly HistoryRow[],
  { keys, time }: OracleQuestion,
  { knownAt, ttlMicros, featureCount }: { knownAt: KnownAt; ttlMicros?: number | undefined; featureCount: number },
): OracleAnswer {
  const every = <T>(value: T) => Array.from({ length: featureCount }, () => value);
  const visible = history.filter(
    (row) =>
      keys.every((key, index) => key !== null && key === row.keys[index]) &&
      row.eventTime <= time &&
      (knownAt === "LATEST" || row.createdAt <= time),
  );
  const winner = newestOf(visible);
  if (winner === undefined) return { eventTime: null, values: every(null), statuses: every("NOT_FOUND") };
  const { eventTime } = winner;
  if (ttlMicros !== undefined && eventTime < time - ttlMicros) {
    return { eventTime, values: every(null), statuses: every("OUTSIDE_MAX_AGE") };
  }
  // A row that was written before a feature was added has no value for it.
  const values = every(null).map((_, index) => winner.values[index] ?? null);
  return { eventTime, values, statuses: values.map((value) => (value === null ? "NULL_VALUE" : "PRESENT")) };
}

/** The newest row of each entity, in the order of their keys. */
export function answerLatest(history: readonly HistoryRow[]): HistoryRow[] {
  const entities = Map.groupBy(history, ({ keys }) => JSON.stringify(keys));
  return [...entities.values()]
    .map((rows) => newestOf(rows)!)
    .sort((left, right) => compareKeys(left.keys, right.keys));
}

/** All rows, in the order of event time and write sequence. */
export function answerRange(history: readonly HistoryRow[]): HistoryRow[] {
  return history.toSorted((left, right) => left.eventTime - right.eventTime || left.sequence - right.sequence);
}

function newestOf(rows: readonly HistoryRow[]): HistoryRow | undefined {
  return rows.reduce<HistoryRow | undefined>(
    (newest, row) => (newest === undefined || isNewer(row, newest) ? row : newest),
    undefined,
  );
}

function compareKeys(left: readonly EntityKeyValue[], right: readonly EntityKeyValue[]): number {
  for (const [index, value] of left.entries()) {
    const other = right[index]!;
    const order =
      typeof value === "number"
        ? value - Number(other)
        : Buffer.compare(Buffer.from(value), Buffer.from(String(other)));
    if (order !== 0) return order;
  }
  return 0;
}
