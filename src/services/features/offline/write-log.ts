import type { Database, Queryable } from "../../../platform/postgres/database.ts";
import type { Micros } from "../values/micros.ts";
import { readEventTime } from "../values/packed-row.ts";
import { decodeRowBatch, type EntityRow, encodeRowBatch, stampBatch } from "../values/row-batch.ts";
import type { Appended, PendingDataset } from "./offline-store.ts";

/** A batch in the log, without its rows. */
export interface PendingBatch {
  readonly datasetId: number;
  readonly batchId: number;
  readonly rowCount: number;
  readonly sizeBytes: number;
  readonly minEventTime: Micros;
  readonly maxEventTime: Micros;
}

/** Postgres keeps microseconds; a Date would lose them. */
const CREATED_AT_MICROS = "(extract(epoch FROM created_at) * 1000000)::bigint";

/** Makes rows durable and gives them their place in the order of all writes. */
export async function append(database: Queryable, datasetId: number, rows: readonly EntityRow[]): Promise<Appended> {
  if (rows.length === 0) throw new RangeError("A batch has at least one row.");
  let minEventTime = Number.POSITIVE_INFINITY;
  let maxEventTime = Number.NEGATIVE_INFINITY;
  for (const { row } of rows) {
    const eventTime = readEventTime(row);
    if (eventTime < minEventTime) minEventTime = eventTime;
    if (eventTime > maxEventTime) maxEventTime = eventTime;
  }
  const result = await database.query<Appended>(
    `INSERT INTO feature_log (dataset_id, created_at, row_count, min_event_time, max_event_time, payload)
     VALUES ($1, clock_timestamp(), $2, $3, $4, $5)
     RETURNING batch_id AS "batchId", ${CREATED_AT_MICROS} AS "createdAt"`,
    [datasetId, rows.length, minEventTime, maxEventTime, encodeRowBatch(rows)],
  );
  const { batchId, createdAt } = result.rows[0]!;
  stampBatch(rows, batchId, createdAt);
  return { batchId, createdAt };
}

/** Datasets that have rows in the log, the one with the oldest first. */
export async function pendingDatasets(database: Queryable, limit: number): Promise<PendingDataset[]> {
  const { rows } = await database.query<PendingDataset>(
    `SELECT dataset_id AS "datasetId", sum(row_count)::bigint AS "rowCount",
            sum(octet_length(payload))::bigint AS "sizeBytes", min(${CREATED_AT_MICROS}) AS "oldestCreatedAt"
     FROM feature_log GROUP BY dataset_id ORDER BY min(created_at) LIMIT $1`,
    [limit],
  );
  return rows;
}

/** The batches of some datasets, oldest first, without their rows. */
export async function pendingBatches(
  database: Queryable,
  datasetIds: readonly number[],
  limit?: number,
): Promise<PendingBatch[]> {
  const { rows } = await database.query<PendingBatch>(
    `SELECT dataset_id AS "datasetId", batch_id AS "batchId", row_count AS "rowCount",
            octet_length(payload) AS "sizeBytes", min_event_time AS "minEventTime",
            max_event_time AS "maxEventTime"
     FROM feature_log WHERE dataset_id = ANY($1::bigint[]) ORDER BY dataset_id, batch_id LIMIT $2`,
    [datasetIds, limit ?? null],
  );
  return rows;
}

/** Rows of batches that follow one another. */
export interface PendingPage {
  readonly datasetId: number;
  readonly sizeBytes: number;
  readonly rows: readonly EntityRow[];
}

/** What is read at once: reading and decoding it keeps others waiting. */
const PAGE_BYTES = 4 * 1024 * 1024;

/** The rows of these batches in steps. Batches that left the log are left out. */
export async function* readPages(database: Queryable, batches: readonly PendingBatch[]): AsyncGenerator<PendingPage> {
  for (let first = 0; first < batches.length; ) {
    const { datasetId } = batches[first]!;
    const batchIds: number[] = [];
    let sizeBytes = 0;
    for (; first < batches.length && batches[first]!.datasetId === datasetId && sizeBytes < PAGE_BYTES; first++) {
      batchIds.push(batches[first]!.batchId);
      sizeBytes += batches[first]!.sizeBytes;
    }
    yield { datasetId, sizeBytes, rows: await readBatches(database, batchIds) };
  }
}

async function readBatches(database: Queryable, batchIds: readonly number[]): Promise<EntityRow[]> {
  const { rows } = await database.query<{ batchId: number; createdAt: Micros; payload: Buffer }>(
    `SELECT batch_id AS "batchId", ${CREATED_AT_MICROS} AS "createdAt", payload
     FROM feature_log WHERE batch_id = ANY($1::bigint[]) ORDER BY batch_id`,
    [batchIds],
  );
  return rows.flatMap(({ batchId, createdAt, payload }) => decodeRowBatch(payload, batchId, createdAt));
}

/** Takes batches out of the log. Answers how many were still there: with several flushers, one gets all and the others none. */
export async function removeBatches(database: Queryable, batchIds: readonly number[]): Promise<number> {
  const { rowCount } = await database.query("DELETE FROM feature_log WHERE batch_id = ANY($1::bigint[])", [batchIds]);
  return rowCount;
}

/** Forgets what is in the log of a dataset. */
export async function clearLog(database: Database, datasetId: number): Promise<void> {
  await database.query("DELETE FROM feature_log WHERE dataset_id = $1", [datasetId]);
}
