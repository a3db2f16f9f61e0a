import type { FieldViolation } from "../../../core/errors.ts";
import { type Json, jsonProblem } from "../../../core/json.ts";
import type { ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { CheckedRow, RowChecker } from "../ingestion/row-checker.ts";
import type { FeatureRow } from "../ingestion/write-model.ts";
import { type Micros, microsFromText, microsToText } from "../values/micros.ts";

export const EVENT_TIME = "event_time";
const LATEST = Date.UTC(2200, 0, 1) * 1000;
const MAX_PROBLEMS = 20;
const NO_TIME = microsToText(0);

/** A row of a file, its values by place as JSON would have them. */
export interface FileRow {
  readonly entity: readonly unknown[];
  readonly values: readonly unknown[];
  /** As it stands in the file: microseconds, or a text. */
  readonly eventTime: unknown;
  /** What has no place in the schema. */
  readonly unknown?: Readonly<Record<string, unknown>> | undefined;
  /** What could not even be read. */
  readonly problems: readonly FieldViolation[];
  /** About what it takes in memory. */
  readonly sizeBytes: number;
}

/** Checks a row of a file as a row of a write is checked. */
export function checkFileRow(checker: RowChecker, row: FileRow): CheckedRow {
  const problems = [...row.problems];
  for (const name of Object.keys(row.unknown ?? {})) {
    problems.push({ field: `values.${name}`, message: "is not in the schema of the version" });
  }
  const eventTime = readEventTime(row.eventTime);
  if (eventTime === undefined) problems.push({ field: "eventTime", message: timeProblem(row.eventTime) });
  // Checked also where something is wrong already, so that all of it is named.
  const checked = checker.placed(row.entity, row.values, eventTime ?? 0);
  if (problems.length === 0) return checked;
  const more = "problems" in checked ? checked.problems : [];
  const others = eventTime === undefined ? more.filter(({ field }) => field !== "eventTime") : more;
  return { problems: [...problems, ...others].slice(0, MAX_PROBLEMS) };
}

/**
 * The row by names, as it is kept in quarantine. A time that cannot be read stands among the values,
 * where it is no feature: so the row cannot be replayed before somebody says when it was.
 */
export function namedRow({ dataset, features }: ResolvedVersion, row: FileRow): FeatureRow {
  const eventTime = readEventTime(row.eventTime);
  return {
    entity: named(
      dataset.entityKeys.map(({ name }) => name),
      row.entity,
    ),
    values: {
      ...named(
        features.map(({ name }) => name),
        row.values,
      ),
      ...named(Object.keys(row.unknown ?? {}), Object.values(row.unknown ?? {})),
      ...(eventTime === undefined ? named([EVENT_TIME], [row.eventTime ?? ""]) : {}),
    },
    eventTime: eventTime === undefined ? NO_TIME : microsToText(eventTime),
  };
}

function named(names: readonly string[], values: readonly unknown[]): Record<string, Json> {
  const entries = names.map((name, index): [string, Json] => [name, (values[index] ?? null) as Json]);
  // What no JSON can hold cannot be answered either.
  return Object.fromEntries(entries.filter(([, value]) => value !== null && jsonProblem(value) === undefined));
}

function readEventTime(value: unknown): Micros | undefined {
  const micros = typeof value === "string" ? microsFromText(value) : value;
  return typeof micros === "number" && micros >= 0 && micros < LATEST ? micros : undefined;
}

function timeProblem(value: unknown): string {
  if (value === null || value === undefined) return "is required: a row without it was true at no time";
  if (typeof value === "number" || (typeof value === "string" && microsFromText(value) !== undefined)) {
    return "must lie between the years 1970 and 2200";
  }
  return "must be an RFC 3339 time such as 2027-01-31T09:30:00.000001Z";
}
