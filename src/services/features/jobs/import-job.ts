import type { Clock } from "../../../core/clock.ts";
import { AppError } from "../../../core/errors.ts";
import type { Duckdb } from "../../../platform/duckdb/duckdb.ts";
import type { DuckdbSession } from "../../../platform/duckdb/session.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import type { FeatureCatalog } from "../definitions/feature-catalog.ts";
import type { FileFolder } from "../files/file-folder.ts";
import { getReady } from "../files/file-service.ts";
import { sortRows, type WriteService } from "../ingestion/write-service.ts";
import type { OfflineStore } from "../offline/offline-store.ts";
import { getTendedDataset } from "../upkeep/dataset-store.ts";
import { MICROS_PER_MS, type Micros } from "../values/micros.ts";
import { checkFileRow, type FileRow, namedRow } from "./file-row.ts";
import { type RowFile, readFileRows } from "./file-rows.ts";
import { MAX_BAD_ROWS, type RefusedFileRow, type StartFeatureImportRequest } from "./job-model.ts";
import { type JobRun, type JobWork, RowsRefused } from "./job-run.ts";

const BATCH_ROWS = 2000;
const BATCH_BYTES = 4 * 1024 * 1024;

export interface ImportOptions {
  readonly database: Database;
  readonly catalog: FeatureCatalog;
  readonly offline: OfflineStore;
  readonly writes: WriteService;
  readonly folder: FileFolder;
  readonly duckdb: Duckdb;
  readonly clock: Clock;
}

/** How far an import is: the file was looked through, and so many of its rows are written. */
interface ImportPlace {
  /** Rows are checked as of then, so that one that was good stays good, however long the import takes. */
  readonly checkedAt: Micros;
  readonly totalRows: number;
  readonly doneRows: number;
  readonly writtenRows: number;
  readonly quarantinedRows: number;
}

/**
 * Reads the file twice: to see whether all of it can be read and, under STRICT, whether every row is
 * good, and then to write it, batch by batch. A batch and the place behind it are one transaction, so
 * whoever goes on after a crash begins with the first row that is not written.
 */
export function createImport(options: ImportOptions): JobWork {
  const { database, catalog, folder, duckdb, clock } = options;
  return async (run) => {
    const { job, signal } = run;
    const { namespace, group, version: number, fileId } = job.request as StartFeatureImportRequest;
    const version = await catalog.version(namespace, group, number);
    const source: RowFile = { file: await getReady(database, namespace, fileId), folder, version };
    if (job.place !== null) await putLastBatchOnline(options, version.dataset.datasetId, signal);
    const place = await duckdb.use(async (session) => {
      let place = job.place as ImportPlace | null;
      if (place === null) {
        const checkedAt = clock.now() * MICROS_PER_MS;
        const totalRows = await checkRows(options, session, source, checkedAt, signal);
        place = { checkedAt, totalRows, doneRows: 0, writtenRows: 0, quarantinedRows: 0 };
        await run.keep(database, place);
      }
      return writeRows(options, session, source, run, place);
    }, signal);
    const { writtenRows, quarantinedRows } = place;
    return { result: { rowCount: writtenRows, quarantinedRows } };
  };
}

/**
 * A gateway that died may have made its last batch durable without putting it online. Moving what is
 * in the log to files does that, so that all rows of an import that has succeeded can be read online.
 */
async function putLastBatchOnline(
  { database, offline }: ImportOptions,
  datasetId: number,
  signal: AbortSignal,
): Promise<void> {
  const tended = await getTendedDataset(database, datasetId);
  if (tended === undefined) return;
  while ((await offline.flushOnce(tended.dataset, { signal, withoutFiles: !tended.offline })).more)
    signal.throwIfAborted();
}

/** Looks through all rows and counts them. Throws where the file cannot be read or, under STRICT, has bad rows. */
async function checkRows(
  { writes }: ImportOptions,
  session: DuckdbSession,
  source: RowFile,
  checkedAt: Micros,
  signal: AbortSignal,
): Promise<number> {
  const { version } = source;
  const isStrict = version.validation === "STRICT";
  const badRows: RefusedFileRow[] = [];
  let count = 0;
  for await (const batch of batches(readFileRows(session, source, 0))) {
    signal.throwIfAborted();
    const checker = isStrict ? writes.checker(version, checkedAt) : undefined;
    for (const [index, row] of batch.entries()) {
      const checked = checker && checkFileRow(checker, row);
      if (checked && "problems" in checked) badRows.push({ row: count + index, problems: [...checked.problems] });
      if (badRows.length === MAX_BAD_ROWS) throw refused(badRows);
    }
    count += batch.length;
  }
  if (badRows.length > 0) throw refused(badRows);
  if (count === 0) throw new AppError("INVALID_ARGUMENT", "FILE_EMPTY", "The file has no rows.");
  return count;
}

async function writeRows(
  { writes }: ImportOptions,
  session: DuckdbSession,
  source: RowFile,
  { scope, signal, report, keep }: JobRun,
  from: ImportPlace,
): Promise<ImportPlace> {
  const { version } = source;
  let place = from;
  for await (const batch of batches(readFileRows(session, source, from.doneRows))) {
    signal.throwIfAborted();
    const checker = writes.checker(version, place.checkedAt);
    const sorted = sortRows(batch.map((row) => checkFileRow(checker, row)));
    const next: ImportPlace = {
      ...place,
      doneRows: place.doneRows + batch.length,
      writtenRows: place.writtenRows + sorted.good.length,
      quarantinedRows: place.quarantinedRows + sorted.bad.length,
    };
    const rowAt = (index: number) => namedRow(version, batch[index]!);
    await writes.writeSorted(version, sorted, rowAt, { namespace: scope }, (transaction) => keep(transaction, next));
    place = next;
    report({ done: place.doneRows, total: place.totalRows });
  }
  return place;
}

/** Rows by the batch. Where one ends depends on the rows alone, so it is the same whoever reads them again. */
async function* batches(rows: AsyncIterable<FileRow>): AsyncGenerator<FileRow[]> {
  let batch: FileRow[] = [];
  let sizeBytes = 0;
  for await (const row of rows) {
    batch.push(row);
    sizeBytes += row.sizeBytes;
    if (batch.length < BATCH_ROWS && sizeBytes < BATCH_BYTES) continue;
    yield batch;
    batch = [];
    sizeBytes = 0;
  }
  if (batch.length > 0) yield batch;
}

function refused(badRows: readonly RefusedFileRow[]): RowsRefused {
  const { row, problems } = badRows[0]!;
  const { field, message } = problems[0]!;
  const count = badRows.length === MAX_BAD_ROWS ? `at least ${MAX_BAD_ROWS}` : String(badRows.length);
  return new RowsRefused(
    `Nothing was written: ${count} rows of the file are bad. Row ${row}, ${field}: ${message}. Mend them, or make a version of the group that puts bad rows in quarantine.`,
    badRows,
  );
}
