import type { Queryable } from "../../../platform/postgres/database.ts";
import type { Micros } from "../values/micros.ts";
import type { DatasetStatistics } from "./offline-store.ts";

/** A Parquet file of a dataset. */
export interface CatalogueFile {
  readonly fileId: string;
  readonly datasetId: number;
  /** Relative to the data folder. */
  readonly path: string;
  /** YYYY-MM-DD, or null where it holds rows of many days. */
  readonly day: string | null;
  readonly featureCount: number;
  readonly rowCount: number;
  readonly sizeBytes: number;
  readonly minEventTime: Micros;
  readonly maxEventTime: Micros;
  readonly minCreatedAt: Micros;
  readonly maxCreatedAt: Micros;
}

const FILE_COLUMNS = `
  file_id AS "fileId", dataset_id AS "datasetId", path, day::text AS day, feature_count AS "featureCount",
  row_count AS "rowCount", size_bytes AS "sizeBytes", min_event_time AS "minEventTime",
  max_event_time AS "maxEventTime", min_created_at AS "minCreatedAt", max_created_at AS "maxCreatedAt"`;

const AT = (parameter: string) => `to_timestamp(${parameter}::double precision / 1000)`;

/** The files that make up these datasets, oldest days first. */
export async function listFiles(database: Queryable, datasetIds: readonly number[]): Promise<CatalogueFile[]> {
  const { rows } = await database.query<CatalogueFile>(
    `SELECT ${FILE_COLUMNS} FROM feature_files
     WHERE dataset_id = ANY($1::bigint[]) AND replaced_at IS NULL ORDER BY dataset_id, day, file_id`,
    [datasetIds],
  );
  return rows;
}

/** Makes files part of their datasets, from the commit on. */
export async function addFiles(database: Queryable, files: readonly CatalogueFile[], nowMs: number): Promise<void> {
  await database.query(
    `INSERT INTO feature_files (file_id, dataset_id, path, day, feature_count, row_count, size_bytes,
       min_event_time, max_event_time, min_created_at, max_created_at, created_at)
     SELECT "fileId", "datasetId", path, day, "featureCount", "rowCount", "sizeBytes",
       "minEventTime", "maxEventTime", "minCreatedAt", "maxCreatedAt", ${AT("$2")}
     FROM json_to_recordset($1::json) AS file ("fileId" uuid, "datasetId" bigint, path text, day date,
       "featureCount" integer, "rowCount" bigint, "sizeBytes" bigint, "minEventTime" bigint,
       "maxEventTime" bigint, "minCreatedAt" bigint, "maxCreatedAt" bigint)`,
    [JSON.stringify(files), nowMs],
  );
}

/** Takes files out of their datasets. Answers how many were part of one until now. */
export async function replaceFiles(database: Queryable, fileIds: readonly string[], nowMs: number): Promise<number> {
  const { rowCount } = await database.query(
    `UPDATE feature_files SET replaced_at = ${AT("$2")} WHERE file_id = ANY($1::uuid[]) AND replaced_at IS NULL`,
    [fileIds, nowMs],
  );
  return rowCount;
}

/** Takes all files out of a dataset. */
export async function replaceAllFiles(database: Queryable, datasetId: number, nowMs: number): Promise<void> {
  await database.query(
    `UPDATE feature_files SET replaced_at = ${AT("$2")} WHERE dataset_id = $1 AND replaced_at IS NULL`,
    [datasetId, nowMs],
  );
}

export async function listReplacedFiles(
  database: Queryable,
  beforeMs: number,
  limit: number,
): Promise<{ fileId: string; path: string }[]> {
  const { rows } = await database.query<{ fileId: string; path: string }>(
    `SELECT file_id AS "fileId", path FROM feature_files WHERE replaced_at < ${AT("$1")}
     ORDER BY replaced_at LIMIT $2`,
    [beforeMs, limit],
  );
  return rows;
}

export async function forgetFiles(database: Queryable, fileIds: readonly string[]): Promise<void> {
  await database.query("DELETE FROM feature_files WHERE file_id = ANY($1::uuid[]) AND replaced_at IS NOT NULL", [
    fileIds,
  ]);
}

/**
 * Of files found on the disk, enters those that are in no catalogue as replaced long ago, so that they may be removed.
 * Whoever still meant to add one is refused by its id; whoever adds it at this moment is waited for.
 */
export async function claimOrphans(
  database: Queryable,
  files: readonly { readonly fileId: string; readonly path: string }[],
): Promise<void> {
  await database.query(
    `INSERT INTO feature_files (file_id, dataset_id, path, feature_count, row_count, size_bytes,
       min_event_time, max_event_time, min_created_at, max_created_at, created_at, replaced_at)
     SELECT "fileId", 0, path, 0, 0, 0, 0, 0, 0, 0, to_timestamp(0), to_timestamp(0)
     FROM json_to_recordset($1::json) AS file ("fileId" uuid, path text)
     ON CONFLICT (file_id) DO NOTHING`,
    [JSON.stringify(files)],
  );
}

/** Which of these ids the catalogue knows. */
export async function knownFiles(database: Queryable, fileIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await database.query<{ fileId: string }>(
    `SELECT file_id AS "fileId" FROM feature_files WHERE file_id = ANY($1::uuid[])`,
    [fileIds],
  );
  return new Set(rows.map(({ fileId }) => fileId));
}

type StatisticsRow = { [Name in keyof DatasetStatistics]: Exclude<DatasetStatistics[Name], undefined> | null };

/** One statement, so that a flush in between neither hides a row nor counts it twice. */
export async function readStatistics(database: Queryable, datasetIds: readonly number[]): Promise<DatasetStatistics[]> {
  const { rows } = await database.query<StatisticsRow>(
    `SELECT dataset_id AS "datasetId", coalesce(file_rows, 0) + coalesce(log_rows, 0) AS "rowCount",
       coalesce(file_count, 0) AS "fileCount", coalesce(file_bytes, 0) AS "sizeBytes",
       coalesce(log_rows, 0) AS "pendingRows", coalesce(log_bytes, 0) AS "pendingBytes",
       least(file_min, log_min) AS "minEventTime", greatest(file_max, log_max) AS "maxEventTime",
       greatest(file_written, log_written) AS "lastWrittenAt"
     FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (dataset_id, place)
     LEFT JOIN LATERAL (
       SELECT sum(row_count)::bigint AS file_rows, count(*) AS file_count, sum(size_bytes)::bigint AS file_bytes,
         min(min_event_time) AS file_min, max(max_event_time) AS file_max, max(max_created_at) AS file_written
       FROM feature_files file WHERE file.dataset_id = asked.dataset_id AND replaced_at IS NULL) files ON true
     LEFT JOIN LATERAL (
       SELECT sum(row_count)::bigint AS log_rows, sum(octet_length(payload))::bigint AS log_bytes,
         min(min_event_time) AS log_min, max(max_event_time) AS log_max,
         (extract(epoch FROM max(created_at)) * 1000000)::bigint AS log_written
       FROM feature_log log WHERE log.dataset_id = asked.dataset_id) log ON true
     ORDER BY place`,
    [datasetIds],
  );
  return rows.map((row) => ({
    ...(row as DatasetStatistics),
    minEventTime: row.minEventTime ?? undefined,
    maxEventTime: row.maxEventTime ?? undefined,
    lastWrittenAt: row.lastWrittenAt ?? undefined,
  }));
}
