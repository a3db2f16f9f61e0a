import { rm, stat } from "node:fs/promises";
import { AppError } from "../../../core/errors.ts";
import type { DuckdbSession } from "../../../platform/duckdb/session.ts";
import type { Dataset } from "../values/dataset.ts";
import { packedFeatureCount, readOrder } from "../values/packed-row.ts";
import type { EntityRow } from "../values/row-batch.ts";
import { checkColumnNames } from "./columns.ts";
import { dayText, filePath, insideOf } from "./dataset-folder.ts";
import { planDays } from "./day-plan.ts";
import { addFiles, type CatalogueFile } from "./file-catalogue.ts";
import type { OfflineContext } from "./offline-context.ts";
import type { FlushOptions, FlushResult } from "./offline-store.ts";
import { writeDatasetFile } from "./parquet-file.ts";
import { appendToRowTable, createRowTable, type RowTable, rowTableSelect } from "./row-table.ts";
import { type PendingBatch, pendingBatches, readPages, removeBatches } from "./write-log.ts";

const MAX_BATCHES = 2000;

/** Somebody else moved the same rows first: what we wrote is thrown away. */
class Overtaken extends Error {}

/**
 * Moves the oldest rows of a dataset from the log into files. Files are whole on the disk before
 * one transaction makes them part of the dataset and takes the rows out of the log, so a death at
 * any moment leaves each row in exactly one of the two places.
 */
export async function flushOnce(
  context: OfflineContext,
  dataset: Dataset,
  { signal, withoutFiles = false }: FlushOptions = {},
): Promise<FlushResult> {
  checkColumnNames(dataset);
  const { database, duckdb, limits, logger } = context;
  const waiting = await pendingBatches(database, [dataset.datasetId], MAX_BATCHES);
  const batches = takeSome(waiting, limits.flushRows, limits.flushBytes);
  if (batches.length === 0) return { rowCount: 0, fileCount: 0, more: false };
  const batchIds = batches.map(({ batchId }) => batchId);
  const rows: EntityRow[] = [];
  for await (const page of readPages(database, batches)) for (const row of page.rows) rows.push(row);
  if (rows.length === 0) return { rowCount: 0, fileCount: 0, more: true };
  checkFeatureCounts(dataset, rows);

  const files = withoutFiles ? [] : await duckdb.use((session) => writeFiles(context, session, dataset, rows), signal);
  try {
    await context.beforeForget(dataset, rows);
  } catch (error) {
    await removeFiles(context, files);
    throw error;
  }
  try {
    await commitFiles(context, files, async (transaction) => {
      if ((await removeBatches(transaction, batchIds)) !== batchIds.length) throw new Overtaken();
    });
  } catch (error) {
    // After any other error nobody knows whether the commit came through: a file that is not needed is found later.
    if (!(error instanceof Overtaken)) throw error;
    await removeFiles(context, files);
    return { rowCount: 0, fileCount: 0, more: true };
  }
  logger.debug({ datasetId: dataset.datasetId, rows: rows.length, files: files.length }, "Feature rows moved to files");
  return { rowCount: rows.length, fileCount: files.length, more: waiting.length > batches.length };
}

/** Makes files part of their dataset together with `change`, in one transaction. */
export async function commitFiles(
  { database, dataDir, clock }: OfflineContext,
  files: readonly CatalogueFile[],
  change: (transaction: Parameters<Parameters<typeof database.transaction>[0]>[0]) => Promise<void>,
): Promise<void> {
  await database.transaction(async (transaction) => {
    await addFiles(transaction, files, clock.now());
    // From here on whoever looks for orphans waits for us; before, this process may have been frozen
    // for so long that they were taken for some.
    for (const { path } of files) await stat(insideOf(dataDir, path));
    await change(transaction);
  });
}

export async function removeFiles({ dataDir }: OfflineContext, files: readonly CatalogueFile[]): Promise<void> {
  for (const { path } of files) await rm(insideOf(dataDir, path), { force: true });
}

/** The oldest batches, at least one where there are any. */
function takeSome(batches: readonly PendingBatch[], maxRows: number, maxBytes: number): PendingBatch[] {
  let rowCount = 0;
  let sizeBytes = 0;
  const end = batches.findIndex((batch, index) => {
    rowCount += batch.rowCount;
    sizeBytes += batch.sizeBytes;
    return index > 0 && (rowCount > maxRows || sizeBytes > maxBytes);
  });
  return batches.slice(0, end < 0 ? batches.length : end);
}

/** Values of features that this gateway has not heard of yet would be lost. */
function checkFeatureCounts({ features }: Dataset, rows: readonly EntityRow[]): void {
  if (rows.every(({ row }) => packedFeatureCount(row) <= features.length)) return;
  throw new AppError(
    "ABORTED",
    "DATASET_CHANGED",
    "The feature group has got more features meanwhile. Read its definition again, and then try again.",
  );
}

async function writeFiles(
  { dataDir, ids, limits }: OfflineContext,
  session: DuckdbSession,
  dataset: Dataset,
  rows: readonly EntityRow[],
): Promise<CatalogueFile[]> {
  const { files, fileOfRow } = planDays(rows, limits);
  const features = dataset.features.map((_, index) => index);
  const table: RowTable = { name: "flushed", dataset, features, extra: "file" };
  await createRowTable(session, table);
  await appendToRowTable(session, table, rows, (row) => fileOfRow[row]!);
  const bounds = boundsOfFiles(rows, fileOfRow, files.length);

  const written: CatalogueFile[] = [];
  for (const [place, day] of files.entries()) {
    const fileId = ids.uuid();
    const dayName = day === undefined ? undefined : dayText(day);
    const path = filePath(dataset, dayName, fileId);
    const ofFile = `${rowTableSelect(table)} WHERE file = ${place}`;
    const { rowCount, sizeBytes } = await writeDatasetFile(session, dataDir, { dataset, features, rows: ofFile, path });
    written.push({
      fileId,
      datasetId: dataset.datasetId,
      path,
      day: dayName ?? null,
      featureCount: features.length,
      rowCount,
      sizeBytes,
      ...bounds[place]!,
    });
  }
  return written;
}

type Bounds = Pick<CatalogueFile, "minEventTime" | "maxEventTime" | "minCreatedAt" | "maxCreatedAt">;

function boundsOfFiles(rows: readonly EntityRow[], fileOfRow: Uint16Array, fileCount: number): Bounds[] {
  const bounds = Array.from({ length: fileCount }, () => ({
    minEventTime: Number.POSITIVE_INFINITY,
    maxEventTime: Number.NEGATIVE_INFINITY,
    minCreatedAt: Number.POSITIVE_INFINITY,
    maxCreatedAt: Number.NEGATIVE_INFINITY,
  }));
  for (const [index, { row }] of rows.entries()) {
    const { eventTime, createdAt } = readOrder(row);
    const ofFile = bounds[fileOfRow[index]!]!;
    ofFile.minEventTime = Math.min(ofFile.minEventTime, eventTime);
    ofFile.maxEventTime = Math.max(ofFile.maxEventTime, eventTime);
    ofFile.minCreatedAt = Math.min(ofFile.minCreatedAt, createdAt);
    ofFile.maxCreatedAt = Math.max(ofFile.maxCreatedAt, createdAt);
  }
  return bounds;
}
