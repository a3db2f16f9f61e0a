import { AppError, type FieldViolation } from "../../../core/errors.ts";
import type { DuckdbSession, WireChunk } from "../../../platform/duckdb/session.ts";
import { quoteName, quotePath } from "../../../platform/duckdb/sql-text.ts";
import type { ResolvedVersion } from "../definitions/feature-catalog.ts";
import { fileProblem, fileUnreadable } from "../files/file-errors.ts";
import type { FileFolder } from "../files/file-folder.ts";
import type { StoredFile } from "../files/file-store.ts";
import { MAX_LINE_BYTES, openCsvFile } from "../offline/csv-file.ts";
import { csvValue } from "./csv-value.ts";
import { EVENT_TIME, type FileRow } from "./file-row.ts";
import { parseJson } from "./json-text.ts";
import { type ParquetReading, parquetReading } from "./parquet-reading.ts";

/** A row of a Parquet file: its size says nothing of how large its rows become in memory. */
const MAX_ROW_BYTES = 128 * 1024;
const MAX_NAMED_COLUMNS = 50;

export interface RowFile {
  readonly file: StoredFile;
  readonly folder: FileFolder;
  readonly version: ResolvedVersion;
}

/** How to get rows out of a file: a statement, and what makes a row of what it answers. */
interface Reader {
  readonly sql: string;
  rowAt(chunk: WireChunk, row: number): FileRow;
}

/** The rows of a file in their order, from the one after the first `skip` on. */
export async function* readFileRows(session: DuckdbSession, source: RowFile, skip: number): AsyncGenerator<FileRow> {
  const { format } = source.file;
  try {
    const reader = await openReader(session, source);
    for await (const chunk of session.chunks(`${reader.sql} LIMIT ALL OFFSET ${skip}`)) {
      for (let row = 0; row < chunk.rowCount; row++) yield reader.rowAt(chunk, row);
    }
  } catch (error) {
    throw fileProblem(error, format);
  }
}

function openReader(session: DuckdbSession, source: RowFile): Promise<Reader> | Reader {
  switch (source.file.format) {
    case "CSV":
      return openCsv(source);
    case "NDJSON":
      return openNdjson(source);
    case "PARQUET":
      return openParquet(session, source);
  }
}

const pathOf = ({ folder, file }: RowFile) => quotePath(folder.pathOf(file.namespace, file.fileId));

async function openCsv(source: RowFile): Promise<Reader> {
  const { file, folder, version } = source;
  const csv = await openCsvFile(folder.pathOf(file.namespace, file.fileId));
  if (csv === undefined) {
    throw fileUnreadable(
      "CSV",
      "its first line, which names the columns, is too long or has a quote that does not end",
    );
  }
  const places = placeColumns(version, csv.header);
  const { entityKeys } = version.dataset;
  return {
    sql: `SELECT * FROM ${csv.read}`,
    rowAt(chunk, row) {
      let sizeBytes = 0;
      const textAt = (column: number) => {
        if (column < 0) return null;
        const text = chunk.value(column, row) as string | null;
        sizeBytes += text?.length ?? 0;
        return text;
      };
      const entity = places.entity.map((column, index) => csvValue(entityKeys[index]!.type, textAt(column)));
      const values = places.values.map((column, index) => csvValue(version.features[index]!.type, textAt(column)));
      return { entity, values, eventTime: textAt(places.eventTime), problems: [], sizeBytes };
    },
  };
}

function openNdjson(source: RowFile): Reader {
  const { version } = source;
  const keyNames = version.dataset.entityKeys.map(({ name }) => name);
  const featureNames = version.features.map(({ name }) => name);
  const known = new Set([...keyNames, ...featureNames, EVENT_TIME]);
  return {
    sql: `SELECT json FROM read_ndjson_objects(${pathOf(source)}, maximum_object_size = ${MAX_LINE_BYTES}, hive_partitioning = false)`,
    rowAt(chunk, row) {
      const text = chunk.value(0, row) as string;
      const parsed = parseJson(text, undefined);
      const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
      const object = (isObject ? parsed : {}) as Record<string, unknown>;
      // Only what stands in the file, never what every object has.
      const memberOf = (name: string) => (Object.hasOwn(object, name) ? object[name] : undefined);
      const unknown = Object.entries(object).filter(([name]) => !known.has(name));
      return {
        entity: keyNames.map(memberOf),
        values: featureNames.map(memberOf),
        eventTime: textOnly(memberOf(EVENT_TIME)),
        unknown: unknown.length > 0 ? Object.fromEntries(unknown) : undefined,
        problems: isObject ? [] : [{ field: "row", message: "must be a JSON object" }],
        sizeBytes: text.length,
      };
    },
  };
}

/** A number is no time in a text file: nobody could say of what unit. */
function textOnly(value: unknown): unknown {
  return typeof value === "number" ? String(value) : value;
}

async function openParquet(session: DuckdbSession, source: RowFile): Promise<Reader> {
  const { version } = source;
  const read = `read_parquet(${pathOf(source)}, hive_partitioning = false)`;
  const described = await session.rows(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${read})`);
  const types = new Map(described.map(([name, type]) => [name as string, type as string]));
  const places = placeColumns(version, [...types.keys()]);
  const shapes = [
    ...version.dataset.entityKeys.map(({ name, type }) => ({ name, type })),
    ...version.features.filter((_, index) => places.values[index]! >= 0).map(({ name, type }) => ({ name, type })),
    { name: EVENT_TIME, type: "TIMESTAMP" as const },
  ];
  const misfits: FieldViolation[] = [];
  const readings = shapes.map(({ name, type }): ParquetReading | undefined => {
    const sqlType = types.get(name)!;
    const reading = parquetReading(type, quoteName(name), sqlType);
    if (reading === undefined)
      misfits.push({ field: name, message: `must be ${type}; the file has ${sqlType.slice(0, 40)}` });
    return reading;
  }) as ParquetReading[];
  if (misfits.length > 0) throw columnsRefused(misfits);

  const size =
    readings.flatMap(({ sizeSql }) => (sizeSql === undefined ? [] : [`coalesce(${sizeSql}, 0)`])).join(" + ") || "0";
  const columns = readings.map(({ sql }) => `CASE WHEN __row_bytes <= ${MAX_ROW_BYTES} THEN ${sql} END`);
  const keyCount = version.dataset.entityKeys.length;
  const last = shapes.length - 1;
  // Where among the answer's columns each feature is.
  let next = keyCount;
  const featureColumns = places.values.map((column) => (column < 0 ? -1 : next++));
  return {
    sql: `SELECT ${columns.join(", ")}, CAST(__row_bytes AS DOUBLE) FROM (SELECT *, ${size} AS __row_bytes FROM ${read})`,
    rowAt(chunk, row) {
      const valueAt = (column: number) => (column < 0 ? null : readings[column]!.decode(chunk.value(column, row)));
      const sizeBytes = chunk.value(last + 1, row) as number;
      const message = `must not have more than ${MAX_ROW_BYTES} bytes in a file; write it by itself`;
      return {
        entity: readings.slice(0, keyCount).map((_, column) => valueAt(column)),
        values: featureColumns.map(valueAt),
        eventTime: valueAt(last),
        problems: sizeBytes > MAX_ROW_BYTES ? [{ field: "row", message }] : [],
        sizeBytes: sizeBytes + 8 * shapes.length,
      };
    },
  };
}

/** Where among a file's columns each entity key, each feature (-1: nowhere) and the event time is. */
interface Places {
  readonly entity: readonly number[];
  readonly values: readonly number[];
  readonly eventTime: number;
}

/** Refuses columns that are not in the schema, and a file without those that every row needs. */
function placeColumns(version: ResolvedVersion, columns: readonly string[]): Places {
  const label = `${version.group}@v${version.version}`;
  const keys = version.dataset.entityKeys.map(({ name }) => name);
  const features = version.features.map(({ name }) => name);
  const known = new Set([...keys, ...features, EVENT_TIME]);
  const problems: FieldViolation[] = [];
  for (const [index, column] of columns.entries()) {
    if (!known.has(column)) problems.push({ field: column.slice(0, 63), message: `is not a column of ${label}` });
    else if (columns.indexOf(column) < index) problems.push({ field: column, message: "is there twice" });
  }
  for (const name of [...keys, EVENT_TIME]) {
    if (!columns.includes(name)) problems.push({ field: name, message: "is not in the file, and every row needs it" });
  }
  if (problems.length > 0) throw columnsRefused(problems);
  return {
    entity: keys.map((name) => columns.indexOf(name)),
    values: features.map((name) => columns.indexOf(name)),
    eventTime: columns.indexOf(EVENT_TIME),
  };
}

function columnsRefused(problems: readonly FieldViolation[]): AppError {
  const named = problems.slice(0, MAX_NAMED_COLUMNS).map(({ field, message }) => `"${field}" ${message}`);
  return new AppError(
    "INVALID_ARGUMENT",
    "FILE_COLUMNS",
    `The columns of the file must be the entity keys, features and ${EVENT_TIME}: ${named.join("; ")}.`,
  );
}
