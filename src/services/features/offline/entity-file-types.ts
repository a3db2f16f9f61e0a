import { invalidArgument } from "../../../core/errors.ts";
import { quoteName } from "../../../platform/duckdb/sql-text.ts";
import type { EntityKeyType } from "../values/feature-type.ts";

/** How a column of somebody else's file is read as what it is used for. */
interface Reading {
  readonly sql: string;
  /** SQL that holds where something is in the column that cannot be read; absent where that cannot be. */
  readonly isUnreadable?: string;
  /** What it should be, to follow "must be". */
  readonly expected: string;
}

const WHOLE_NUMBER = /^U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?$/;
const MAX_SAFE = Number.MAX_SAFE_INTEGER;

/** The time of an entity row, as TIMESTAMP in UTC. */
export function timeExpression(column: string, type: string | undefined): Reading {
  const name = quoteName(column);
  const expected = "an RFC 3339 time such as 2027-01-31T09:30:00.000001Z";
  if (type === undefined) throw missing(column, "the time of each row");
  const finite = (time: string) => `CASE WHEN isfinite(${time}) THEN ${time} END`;
  if (type.startsWith("TIMESTAMP") || type === "DATE") {
    return attempt(name, finite(`CAST(${name} AS TIMESTAMP)`), expected);
  }
  // Read with its zone and then brought to UTC: a cast straight to TIMESTAMP would drop the offset.
  if (type === "VARCHAR") return attempt(name, finite(`CAST(TRY_CAST(${name} AS TIMESTAMPTZ) AS TIMESTAMP)`), expected);
  throw invalidArgument([{ field: `entities.${column}`, message: "must be a column of timestamps or RFC 3339 texts" }]);
}

/** An entity key, as VARCHAR or BIGINT. NaN is what data frames make of a missing number. */
export function entityKeyExpression(column: string, type: string | undefined, keyType: EntityKeyType): Reading {
  const name = quoteName(column);
  if (type === undefined) throw missing(column, "an entity key");
  if (keyType === "STRING") {
    const expected = "a text";
    if (type === "VARCHAR" || type.startsWith("ENUM") || type === "UUID" || WHOLE_NUMBER.test(type)) {
      return { sql: `CAST(${name} AS VARCHAR)`, expected };
    }
    throw invalidArgument([{ field: `entities.${column}`, message: "must be a column of texts" }]);
  }
  const expected = "a whole number within ±9007199254740991 (2^53 - 1)";
  const safe = (number: string) => `CASE WHEN abs(${number}) <= ${MAX_SAFE} THEN CAST(${number} AS BIGINT) END`;
  if (WHOLE_NUMBER.test(type)) return attempt(name, safe(`CAST(${name} AS HUGEINT)`), expected);
  if (type === "VARCHAR") {
    const digits = `CASE WHEN regexp_full_match(${name}, '[+-]?[0-9]{1,16}') THEN CAST(${name} AS HUGEINT) END`;
    return attempt(name, safe(digits), expected);
  }
  if (type === "DOUBLE" || type === "FLOAT") {
    const number = `CASE WHEN NOT isnan(${name}) AND ${name} = trunc(${name}) THEN CAST(${name} AS DOUBLE) END`;
    return attempt(`nullif(${name}, CAST('NaN' AS ${type}))`, safe(number), expected);
  }
  throw invalidArgument([{ field: `entities.${column}`, message: "must be a column of whole numbers" }]);
}

function attempt(given: string, sql: string, expected: string): Reading {
  return { sql, isUnreadable: `${given} IS NOT NULL AND (${sql}) IS NULL`, expected };
}

function missing(column: string, what: string) {
  return invalidArgument([
    { field: `entities.${column}`, message: `is not a column of the file; it should hold ${what}` },
  ]);
}
