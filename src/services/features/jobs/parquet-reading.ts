import type { WireOutput } from "../../../platform/duckdb/session.ts";
import type { FeatureType } from "../values/feature-type.ts";
import { type Micros, microsToText } from "../values/micros.ts";
import { NOT_JSON, parseJson } from "./json-text.ts";

/** How a column of a Parquet file is read as a feature. */
export interface ParquetReading {
  /** SQL that makes a wire value of the column. */
  readonly sql: string;
  /** SQL for the bytes of a value; absent where they are few. */
  readonly sizeSql?: string | undefined;
  /** A wire value as JSON would have it. */
  decode(value: WireOutput): unknown;
}

const WHOLE = /^U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?$/;
const FLOATING = /^(?:DOUBLE|FLOAT)$/;
const NUMBER = /^(?:DOUBLE|FLOAT|DECIMAL\(.*\)|U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?)$/;
const TEXT = /^(?:VARCHAR|JSON|UUID|ENUM\(.*\))$/;
const TIME = /^(?:TIMESTAMP.*|DATE)$/;
const LIST = /^(?<item>.*)\[\d*\]$/;

const LATEST = Date.UTC(2200, 0, 1) * 1000;
/** Stands for all times that no row may have, and that no text could say. */
const OUT_OF_BOUNDS = "9999-12-31T00:00:00Z";

const asIs = (value: WireOutput): unknown => value;
const bytesOf = (column: string) => `strlen(CAST(${column} AS VARCHAR))`;
const timeText = (micros: Micros) => (micros >= 0 && micros < LATEST ? microsToText(micros) : OUT_OF_BOUNDS);

/** SQL for microseconds since the epoch; null where a time is infinite. */
function microsSql(time: string): string {
  return `CAST(CASE WHEN isfinite(CAST(${time} AS TIMESTAMP)) THEN epoch_us(CAST(${time} AS TIMESTAMP)) END AS DOUBLE)`;
}

/** The column `column` of type `sqlType` as a feature; undefined where it does not fit. */
export function parquetReading(type: FeatureType, column: string, sqlType: string): ParquetReading | undefined {
  const item = LIST.exec(sqlType)?.groups?.item;
  return item === undefined ? scalarReading(type, column, sqlType) : listReading(type, column, item);
}

function scalarReading(type: FeatureType, column: string, sqlType: string): ParquetReading | undefined {
  switch (type) {
    case "BOOL":
      return sqlType === "BOOLEAN" ? { sql: column, decode: asIs } : undefined;
    case "INT64":
      if (WHOLE.test(sqlType)) return { sql: `CAST(${column} AS DOUBLE)`, decode: asIs };
      // What data frames make of whole numbers where some are missing.
      if (!FLOATING.test(sqlType)) return undefined;
      return { sql: `CASE WHEN NOT isnan(${column}) THEN CAST(${column} AS DOUBLE) END`, decode: asIs };
    case "DOUBLE":
      return NUMBER.test(sqlType) ? { sql: `CAST(${column} AS DOUBLE)`, decode: asIs } : undefined;
    case "STRING":
      return TEXT.test(sqlType) ? textReading(column, asIs) : undefined;
    case "JSON":
      return TEXT.test(sqlType)
        ? textReading(column, (value) => (value === null ? null : parseJson(value as string, NOT_JSON)))
        : undefined;
    case "BYTES":
      return sqlType === "BLOB"
        ? { sql: `base64(${column})`, sizeSql: `octet_length(${column})`, decode: asIs }
        : undefined;
    case "TIMESTAMP":
      if (sqlType === "VARCHAR") return textReading(column, asIs);
      if (!TIME.test(sqlType)) return undefined;
      return { sql: microsSql(column), decode: (value) => (value === null ? null : timeText(value as number)) };
    default:
      return undefined;
  }
}

function listReading(type: FeatureType, column: string, item: string): ParquetReading | undefined {
  const sizeSql = `8 * len(${column})`;
  switch (type) {
    case "BOOL_LIST":
      return item === "BOOLEAN" ? { sql: `CAST(${column} AS BOOLEAN[])`, sizeSql, decode: asIs } : undefined;
    case "INT64_LIST":
      return WHOLE.test(item) ? { sql: `CAST(${column} AS DOUBLE[])`, sizeSql, decode: asIs } : undefined;
    case "DOUBLE_LIST":
    case "VECTOR":
      return NUMBER.test(item) ? { sql: `CAST(${column} AS DOUBLE[])`, sizeSql, decode: asIs } : undefined;
    case "STRING_LIST":
      if (!TEXT.test(item)) return undefined;
      return {
        sql: `CAST(${column} AS VARCHAR[])`,
        sizeSql: `8 * len(${column}) + coalesce(list_sum(list_transform(${column}, lambda x: ${bytesOf("x")})), 0)`,
        decode: asIs,
      };
    case "TIMESTAMP_LIST":
      if (!TIME.test(item)) return undefined;
      return {
        sql: `list_transform(${column}, lambda x: ${microsSql("x")})`,
        sizeSql,
        decode: (value) =>
          (value as (number | null)[] | null)?.map((time) => (time === null ? null : timeText(time))) ?? null,
      };
    default:
      return undefined;
  }
}

function textReading(column: string, decode: ParquetReading["decode"]): ParquetReading {
  return { sql: `CAST(${column} AS VARCHAR)`, sizeSql: bytesOf(column), decode };
}
