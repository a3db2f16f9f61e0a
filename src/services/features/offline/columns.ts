import { AppError } from "../../../core/errors.ts";
import type { WireOutput, WireType } from "../../../platform/duckdb/session.ts";
import type { Dataset } from "../values/dataset.ts";
import type { EntityKeyType, FeatureShape, FeatureType, StoredValue } from "../values/feature-type.ts";

/** Columns that every Parquet file has beside entity keys and features. */
export const RESERVED_COLUMNS = ["event_time", "created_at", "write_sequence"] as const;

/** How the values of a type are kept in Parquet, and how they travel between JavaScript and DuckDB. */
export interface ColumnType {
  readonly sqlType: string;
  readonly wireType: WireType;
  /** SQL that makes a stored value of a wire value. */
  fromWire(expression: string): string;
  /** SQL that makes a wire value of a stored value. */
  toWire(expression: string): string;
  /** A value that came over the wire, in the form that the gateway works with. */
  decode(value: WireOutput): StoredValue | null;
}

const same = (expression: string) => expression;
const asIs = (value: WireOutput) => value as StoredValue | null;

/** A type whose values are the same on both sides. */
function plain(sqlType: WireType): ColumnType {
  return { sqlType, wireType: sqlType, fromWire: same, toWire: same, decode: asIs };
}

export const microsToSql = (expression: string) => `make_timestamp(CAST(${expression} AS BIGINT))`;
export const microsFromSql = (expression: string) => `CAST(epoch_us(${expression}) AS DOUBLE)`;

// Whole numbers and times are at most 2^53, so a DOUBLE carries them exactly, and faster than a BigInt.
const INT64: ColumnType = {
  sqlType: "BIGINT",
  wireType: "DOUBLE",
  fromWire: (expression) => `CAST(${expression} AS BIGINT)`,
  toWire: (expression) => `CAST(${expression} AS DOUBLE)`,
  decode: asIs,
};

const COLUMN_TYPES: Record<FeatureType, ColumnType> = {
  BOOL: plain("BOOLEAN"),
  INT64,
  DOUBLE: plain("DOUBLE"),
  STRING: plain("VARCHAR"),
  BYTES: { ...plain("BLOB"), decode: (value) => (value === null ? null : Buffer.from(value as Uint8Array)) },
  TIMESTAMP: {
    sqlType: "TIMESTAMP",
    wireType: "DOUBLE",
    fromWire: microsToSql,
    toWire: microsFromSql,
    decode: asIs,
  },
  JSON: plain("VARCHAR"),
  BOOL_LIST: plain("BOOLEAN[]"),
  INT64_LIST: {
    ...plain("DOUBLE[]"),
    sqlType: "BIGINT[]",
    fromWire: (expression) => `CAST(${expression} AS BIGINT[])`,
    toWire: (expression) => `CAST(${expression} AS DOUBLE[])`,
  },
  DOUBLE_LIST: plain("DOUBLE[]"),
  STRING_LIST: plain("VARCHAR[]"),
  TIMESTAMP_LIST: {
    ...plain("DOUBLE[]"),
    sqlType: "TIMESTAMP[]",
    fromWire: (expression) => `list_transform(${expression}, lambda x: ${microsToSql("x")})`,
    toWire: (expression) => `list_transform(${expression}, lambda x: ${microsFromSql("x")})`,
  },
  VECTOR: {
    ...plain("FLOAT[]"),
    decode: (value) => (value === null ? null : Float32Array.from(value as number[])),
  },
};

export function columnType(type: FeatureType | EntityKeyType): ColumnType {
  return COLUMN_TYPES[type];
}

/** Where in the dataset's order the features of these names are. */
export function featureIndexes(dataset: Dataset, names: readonly string[]): number[] {
  return names.map((name) => {
    const index = dataset.features.findIndex((feature) => feature.name === name);
    if (index < 0) throw new RangeError("A feature was asked for that the dataset does not have.");
    return index;
  });
}

export function featuresAt(dataset: Dataset, indexes: readonly number[]): FeatureShape[] {
  return indexes.map((index) => dataset.features[index]!);
}

/** Column names are the same in any case to DuckDB and to other readers of Parquet. */
export function checkColumnNames(dataset: Dataset): void {
  const taken = new Set<string>(RESERVED_COLUMNS);
  for (const { name } of [...dataset.entityKeys, ...dataset.features]) {
    const folded = name.toLowerCase();
    if (taken.has(folded)) {
      throw new AppError(
        "FAILED_PRECONDITION",
        "COLUMN_NAME_TAKEN",
        `"${name}" cannot be a column of the feature history: ${RESERVED_COLUMNS.join(", ")} are its own, and names that differ only in case are one there.`,
      );
    }
    taken.add(folded);
  }
}
