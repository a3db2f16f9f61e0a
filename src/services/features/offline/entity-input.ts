import { AppError, invalidArgument } from "../../../core/errors.ts";
import { DuckdbError } from "../../../platform/duckdb/duckdb-error.ts";
import type { DuckdbSession, WireType } from "../../../platform/duckdb/session.ts";
import { quoteName, quotePath } from "../../../platform/duckdb/sql-text.ts";
import type { EntityKeyType } from "../values/feature-type.ts";
import type { Micros } from "../values/micros.ts";
import { columnType, microsFromSql, microsToSql } from "./columns.ts";
import { openCsvFile } from "./csv-file.ts";
import { insideOf } from "./dataset-folder.ts";
import { entityKeyExpression, timeExpression } from "./entity-file-types.ts";
import type { EntityFile, InlineEntities, PointInTimeRequest } from "./offline-store.ts";

/** A column of the entity rows that holds an entity key. The same one may be read as two types. */
export interface InputKey {
  readonly column: string;
  readonly type: EntityKeyType;
}

/**
 * The entity rows in the temporary table `input`: n (their number, from 0), t (their time), and
 * i0, i1, … as `keys` says.
 */
export interface EntityInput {
  readonly keys: readonly InputKey[];
  readonly rowCount: number;
  readonly maxTime: Micros | undefined;
  /** A query for their number, `ROW_NUMBER_COLUMN`, and all of their columns under their own names. */
  readonly allColumns: string;
  readonly columnNames: readonly string[];
}

export const ROW_NUMBER_COLUMN = "__row_number";

/** Puts the entity rows of a request into the table `input`. */
export async function loadEntities(
  session: DuckdbSession,
  dataDir: string,
  { entities, sources }: PointInTimeRequest,
  maxRows: number,
): Promise<EntityInput> {
  const keys: InputKey[] = [];
  for (const { dataset, keyColumns } of sources) {
    for (const [index, { name, type }] of dataset.entityKeys.entries()) {
      const column = keyColumns?.[index] ?? name;
      if (!keys.some((key) => key.column === column && key.type === type)) keys.push({ column, type });
    }
  }
  const loaded =
    entities.kind === "INLINE"
      ? await loadInline(session, entities, keys, maxRows)
      : await loadFile(session, dataDir, entities, keys, maxRows);
  const [counted] = await session.rows(`SELECT CAST(count(*) AS DOUBLE), ${microsFromSql("max(t)")} FROM input`);
  const rowCount = counted![0] as number;
  if (rowCount > maxRows) throw tooMany(maxRows);
  return { ...loaded, keys, rowCount, maxTime: (counted![1] as number | null) ?? undefined };
}

type Loaded = Pick<EntityInput, "allColumns" | "columnNames">;

async function loadInline(
  session: DuckdbSession,
  { keys: columns, times }: InlineEntities,
  keys: readonly InputKey[],
  maxRows: number,
): Promise<Loaded> {
  if (times.length > maxRows) throw tooMany(maxRows);
  const values = keys.map(({ column, type }) => {
    const ofColumn = columns[column];
    if (ofColumn?.length !== times.length) {
      throw invalidArgument([{ field: `entities.${column}`, message: "is an entity key: each row needs it, or null" }]);
    }
    const expected = type === "INT64" ? "number" : "string";
    const wrong = ofColumn.findIndex((value) => value !== null && typeof value !== expected);
    if (wrong < 0) return ofColumn;
    throw invalidArgument([{ field: `entities[${wrong}].${column}`, message: `must be a ${expected}` }]);
  });
  const types: WireType[] = ["DOUBLE", "DOUBLE", ...keys.map(({ type }) => columnType(type).wireType)];
  await session.run(
    `CREATE TEMP TABLE input_values (n DOUBLE, t DOUBLE${keys.map((_, index) => `, i${index} ${types[index + 2]}`).join("")})`,
  );
  await session.append("input_values", types, times.length, (column, row) => {
    if (column === 0) return row;
    return (column === 1 ? times[row] : values[column - 2]![row]) ?? null;
  });
  const stored = keys.map(({ type }, index) => `, ${columnType(type).fromWire(`i${index}`)} AS i${index}`).join("");
  await session.run(
    `CREATE TEMP TABLE input AS SELECT CAST(n AS BIGINT) AS n, ${microsToSql("t")} AS t${stored} FROM input_values`,
  );
  await session.run("DROP TABLE input_values");

  const firstOfName = keys.filter(({ column }, index) => keys.findIndex((key) => key.column === column) === index);
  const named = firstOfName.map((key) => `i${keys.indexOf(key)} AS ${quoteName(key.column)}`);
  return {
    allColumns: `SELECT n AS ${ROW_NUMBER_COLUMN}, ${[...named, "t AS event_time"].join(", ")} FROM input`,
    columnNames: [...firstOfName.map(({ column }) => column), "event_time"],
  };
}

async function loadFile(
  session: DuckdbSession,
  dataDir: string,
  file: EntityFile,
  keys: readonly InputKey[],
  maxRows: number,
): Promise<Loaded> {
  try {
    const read = await readFileSql(insideOf(dataDir, file.path), file);
    const described = await session.rows(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${read})`);
    const types = new Map(described.map(([name, type]) => [name as string, type as string]));
    const columns = [
      { column: file.timeColumn, ...timeExpression(file.timeColumn, types.get(file.timeColumn)), as: "t" },
      ...keys.map(({ column, type }, index) => ({
        column,
        ...entityKeyExpression(column, types.get(column), type),
        as: `i${index}`,
      })),
    ];
    const numbered = `SELECT row_number() OVER () - 1 AS ${ROW_NUMBER_COLUMN}, * FROM ${read}`;
    const selected = columns.map(({ sql, as }) => `, ${sql} AS ${as}`).join("");
    await session.run(
      `CREATE TEMP TABLE input AS SELECT ${ROW_NUMBER_COLUMN} AS n${selected} FROM (${numbered}) LIMIT ${maxRows + 1}`,
    );
    await refuseUnreadable(session, numbered, columns);
    return { allColumns: numbered, columnNames: [...types.keys()] };
  } catch (error) {
    throw fileProblem(error, file);
  }
}

async function readFileSql(path: string, file: EntityFile): Promise<string> {
  if (file.format === "PARQUET") return `read_parquet(${quotePath(path)}, hive_partitioning = false)`;
  const csv = await openCsvFile(path);
  if (csv === undefined) throw unreadable(file);
  return csv.read;
}

interface FileColumn {
  readonly column: string;
  readonly sql: string;
  /** SQL that holds where the column has something that is not of the type; absent where that cannot be. */
  readonly isUnreadable?: string;
  readonly expected: string;
}

/** Names the first row of each column that has something else in it than it should. */
async function refuseUnreadable(session: DuckdbSession, numbered: string, columns: readonly FileColumn[]) {
  const fallible = columns.filter(({ isUnreadable }) => isUnreadable !== undefined);
  if (fallible.length === 0) return;
  const firsts = fallible.map(
    ({ isUnreadable }) => `CAST(min(${ROW_NUMBER_COLUMN}) FILTER (WHERE ${isUnreadable}) AS DOUBLE)`,
  );
  const [found] = await session.rows(`SELECT ${firsts.join(", ")} FROM (${numbered})`);
  const fields = fallible.flatMap(({ column, expected }, index) => {
    const row = found![index];
    return row === null ? [] : [{ field: `entities[${row}].${column}`, message: `must be ${expected}` }];
  });
  if (fields.length > 0) throw invalidArgument(fields);
}

function fileProblem(error: unknown, file: EntityFile): unknown {
  if (!(error instanceof DuckdbError) || /memory|interrupt/i.test(error.kind)) return error;
  return unreadable(file, error);
}

function unreadable({ format }: EntityFile, cause?: unknown): AppError {
  return new AppError(
    "INVALID_ARGUMENT",
    "ENTITY_FILE_UNREADABLE",
    `The file with the entity rows cannot be read as ${format}. Check that it is whole and of that format.`,
    { cause, details: { fields: [{ field: "entities", message: `cannot be read as ${format}` }] } },
  );
}

function tooMany(maxRows: number): AppError {
  return invalidArgument([
    { field: "entities", message: `must not have more than ${maxRows} rows; divide them among several requests` },
  ]);
}
