import type { Queryable } from "../../../platform/postgres/database.ts";
import type { FeatureFileFormat, FeatureFileState } from "./file-model.ts";

/** A file as its row has it. */
export interface StoredFile {
  readonly fileId: string;
  readonly namespace: string;
  readonly name: string;
  readonly format: FeatureFileFormat;
  readonly state: FeatureFileState;
  readonly sizeBytes: number;
  readonly sha256: string | null;
  readonly jobId: string | null;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

const COLUMNS = `
  file_id AS "fileId", namespace, name, format, state, size_bytes AS "sizeBytes", sha256, job_id AS "jobId",
  created_by AS "createdBy", created_at AS "createdAt", expires_at AS "expiresAt"`;

export type NewFile = Pick<
  StoredFile,
  "fileId" | "namespace" | "name" | "format" | "state" | "sizeBytes" | "sha256" | "jobId" | "createdBy"
> & { readonly keepMs: number };

const INSERT = `
  INSERT INTO feature_exchange_files
    (file_id, namespace, name, format, state, size_bytes, sha256, job_id, created_by, created_at, expires_at)
  SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, now(), now() + make_interval(secs => $10 / 1000.0)
  WHERE (SELECT count(*) FROM (SELECT FROM feature_exchange_files WHERE namespace = $2 LIMIT $11) AS found) < $11
  RETURNING ${COLUMNS}`;

/** Undefined where the namespace has `maxFiles` already. */
export async function insertFile(queryable: Queryable, file: NewFile, maxFiles: number) {
  const { fileId, namespace, name, format, state, sizeBytes, sha256, jobId, createdBy, keepMs } = file;
  const values = [fileId, namespace, name, format, state, sizeBytes, sha256, jobId, createdBy, keepMs, maxFiles];
  return (await queryable.query<StoredFile>(INSERT, values)).rows[0];
}

// What a job reads is there as long as it does, whatever the time.
const IS_KEPT = `
  (expires_at > now() OR EXISTS (
    SELECT FROM feature_jobs j WHERE j.file_id = f.file_id AND j.state IN ('QUEUED', 'RUNNING')))`;
const GET = `SELECT ${COLUMNS} FROM feature_exchange_files f WHERE namespace = $1 AND file_id = $2 AND ${IS_KEPT}`;

export async function getFile(queryable: Queryable, namespace: string, fileId: string) {
  return (await queryable.query<StoredFile>(GET, [namespace, fileId])).rows[0];
}

const LOCK = `${GET} FOR UPDATE OF f`;

/** The same, and nobody else changes it until the transaction ends. */
export async function lockFile(transaction: Queryable, namespace: string, fileId: string) {
  return (await transaction.query<StoredFile>(LOCK, [namespace, fileId])).rows[0];
}

const LIST = `
  SELECT ${COLUMNS} FROM feature_exchange_files f
  WHERE namespace = $1 AND ($2::uuid IS NULL OR file_id < $2::uuid) AND ${IS_KEPT} ORDER BY file_id DESC LIMIT $3`;

/** Newest first, beginning after the one of that id: ids are in the order of time. */
export async function listFiles(queryable: Queryable, namespace: string, after: string | undefined, limit: number) {
  return (await queryable.query<StoredFile>(LIST, [namespace, after ?? null, limit])).rows;
}

const GROW = `UPDATE feature_exchange_files SET size_bytes = $2 WHERE file_id = $1 RETURNING ${COLUMNS}`;

export async function growFile(transaction: Queryable, fileId: string, sizeBytes: number) {
  return (await transaction.query<StoredFile>(GROW, [fileId, sizeBytes])).rows[0]!;
}

const SETTLE = `
  UPDATE feature_exchange_files SET state = 'READY', sha256 = $3
  WHERE file_id = $1 AND size_bytes = $2 AND state = 'UPLOADING' RETURNING ${COLUMNS}`;

/** Makes it READY if it still has that size. */
export async function settleFile(queryable: Queryable, fileId: string, sizeBytes: number, sha256: string) {
  return (await queryable.query<StoredFile>(SETTLE, [fileId, sizeBytes, sha256])).rows[0];
}

const IS_IN_USE = `SELECT FROM feature_jobs WHERE file_id = $1 AND state IN ('QUEUED', 'RUNNING') LIMIT 1`;

/** Whether a job reads it, or will. */
export async function isFileInUse(queryable: Queryable, fileId: string): Promise<boolean> {
  return (await queryable.query(IS_IN_USE, [fileId])).rows.length > 0;
}

export async function deleteFile(queryable: Queryable, fileId: string): Promise<void> {
  await queryable.query("DELETE FROM feature_exchange_files WHERE file_id = $1", [fileId]);
}

const EXPIRE = `
  DELETE FROM feature_exchange_files WHERE file_id IN (
    SELECT file_id FROM feature_exchange_files f WHERE expires_at <= now() AND NOT ${IS_KEPT}
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
  RETURNING namespace, file_id AS "fileId"`;

/** Forgets files whose time is over, up to a number, and answers which. */
export async function expireFiles(queryable: Queryable, limit: number) {
  return (await queryable.query<Pick<StoredFile, "namespace" | "fileId">>(EXPIRE, [limit])).rows;
}

const KNOWN = `SELECT file_id AS "fileId" FROM feature_exchange_files WHERE file_id = ANY($1::uuid[])`;

export async function knownFileIds(queryable: Queryable, fileIds: readonly string[]): Promise<Set<string>> {
  const { rows } = await queryable.query<{ fileId: string }>(KNOWN, [fileIds]);
  return new Set(rows.map(({ fileId }) => fileId));
}
