import type { DuckdbSession, WireInput, WireType } from "../../../platform/duckdb/session.ts";
import { quoteName } from "../../../platform/duckdb/sql-text.ts";
import type { Dataset } from "../values/dataset.ts";
import { type EntityKeyValue, readEntityText } from "../values/entity-key.ts";
import { readOrder, readValue } from "../values/packed-row.ts";
import type { EntityRow } from "../values/row-batch.ts";
import { columnType, microsToSql } from "./columns.ts";

/**
 * Rows of a dataset in a temporary table of DuckDB, as wire values. Inside of our statements entity
 * keys are called k0, k1, … and features f0, f1, … by their place in the dataset, so that no name of
 * a tenant can mean anything else.
 */
export interface RowTable {
  readonly name: string;
  readonly dataset: Dataset;
  /** Which features it has, by their place in the dataset. */
  readonly features: readonly number[];
  /** A further column of numbers, e.g. which file a row goes to. */
  readonly extra?: string | undefined;
}

export async function createRowTable(session: DuckdbSession, table: RowTable): Promise<void> {
  const columns = tableColumns(table).map(([name, type]) => `${name} ${type}`);
  await session.run(`CREATE OR REPLACE TEMP TABLE ${table.name} (${columns.join(", ")})`);
}

/** `extraAt` answers the further column's value by the row's place in `rows`. */
export async function appendToRowTable(
  session: DuckdbSession,
  table: RowTable,
  rows: readonly EntityRow[],
  extraAt?: (row: number) => number,
): Promise<void> {
  const { dataset, features } = table;
  // Read when it is their turn, so that a large batch does not keep everybody else waiting.
  const keys: EntityKeyValue[][] = [];
  const keysOf = (row: number) => (keys[row] ??= readEntityText(rows[row]!.entity));
  const readers: ((row: number) => WireInput)[] = [
    ...dataset.entityKeys.map((_, index) => (row: number) => keysOf(row)[index]!),
    ...features.map((index) => {
      const { type } = dataset.features[index]!;
      return (row: number) => readValue(rows[row]!.row, index, type);
    }),
    (row) => readOrder(rows[row]!.row).eventTime,
    (row) => readOrder(rows[row]!.row).createdAt,
    (row) => readOrder(rows[row]!.row).sequence,
  ];
  if (extraAt) readers.push(extraAt);
  const types = tableColumns(table).map(([, type]) => type);
  await session.append(table.name, types, rows.length, (column, row) => readers[column]!(row));
}

/** Its columns as SQL expressions of stored values, with the names that they have inside of our statements. */
export function rowTableSelect({ name, dataset, features }: RowTable): string {
  const expressions = [
    ...dataset.entityKeys.map(({ type }, index) => `${columnType(type).fromWire(`k${index}`)} AS k${index}`),
    ...features.map((index) => {
      const { type } = dataset.features[index]!;
      return `${columnType(type).fromWire(`f${index}`)} AS f${index}`;
    }),
    `${microsToSql("event_time")} AS event_time`,
    `${microsToSql("created_at")} AS created_at`,
    "CAST(write_sequence AS BIGINT) AS write_sequence",
  ];
  return `SELECT ${expressions.join(", ")} FROM ${name}`;
}

/** From k0, f0 and so on back to the names that columns have in a file. */
export function fileColumns(dataset: Dataset, features: readonly number[]): string {
  return [
    ...dataset.entityKeys.map(({ name }, index) => `k${index} AS ${quoteName(name)}`),
    ...features.map((index) => `f${index} AS ${quoteName(dataset.features[index]!.name)}`),
    "event_time",
    "created_at",
    "write_sequence",
  ].join(", ");
}

/** k0, k1, … with a prefix, separated by commas. */
export function keyList({ entityKeys }: Dataset, prefix = "k"): string {
  return entityKeys.map((_, index) => `${prefix}${index}`).join(", ");
}

function tableColumns({ dataset, features, extra }: RowTable): [name: string, type: WireType][] {
  const columns: [string, WireType][] = [
    ...dataset.entityKeys.map(({ type }, index): [string, WireType] => [`k${index}`, columnType(type).wireType]),
    ...features.map((index): [string, WireType] => [`f${index}`, columnType(dataset.features[index]!.type).wireType]),
    ["event_time", "DOUBLE"],
    ["created_at", "DOUBLE"],
    ["write_sequence", "DOUBLE"],
  ];
  if (extra !== undefined) columns.push([extra, "DOUBLE"]);
  return columns;
}
