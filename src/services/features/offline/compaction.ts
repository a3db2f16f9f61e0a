import { AppError } from "../../../core/errors.ts";
import type { Dataset } from "../values/dataset.ts";
import { MICROS_PER_MS } from "../values/micros.ts";
import { checkColumnNames } from "./columns.ts";
import { filePath } from "./dataset-folder.ts";
import { type CatalogueFile, listFiles, replaceFiles } from "./file-catalogue.ts";
import { commitFiles, removeFiles } from "./flush.ts";
import type { OfflineContext, OfflineLimits } from "./offline-context.ts";
import type { CompactResult, RunOptions } from "./offline-store.ts";
import { readDatasetFiles, writeDatasetFile } from "./parquet-file.ts";

/** Files below this are merged with one another whatever their sizes are. */
const SMALL_BYTES = 1024 * 1024;

/** Another compaction, or the removal of the dataset, was faster. */
class Overtaken extends Error {}

/**
 * Merges files of one day into one. History is kept whole: every row is in the new file. The swap
 * is one transaction; the old files stay until readers that began before have ended.
 */
export async function compactOnce(
  context: OfflineContext,
  dataset: Dataset,
  { signal }: RunOptions = {},
): Promise<CompactResult> {
  checkColumnNames(dataset);
  const { database, clock, limits, pins, logger } = context;
  const chosen = chooseFiles(await listFiles(database, [dataset.datasetId]), limits, clock.now());
  if (chosen === undefined) return { filesReplaced: 0, more: false };
  const fileIds = chosen.map(({ fileId }) => fileId);
  const unpin = pins.pin(fileIds);
  try {
    const merged = await mergeFiles(context, dataset, chosen, signal);
    try {
      await commitFiles(context, [merged], async (transaction) => {
        if ((await replaceFiles(transaction, fileIds, clock.now())) !== fileIds.length) throw new Overtaken();
      });
    } catch (error) {
      if (!(error instanceof Overtaken)) throw error;
      await removeFiles(context, [merged]);
      return { filesReplaced: 0, more: true };
    }
  } finally {
    unpin();
  }
  logger.debug({ datasetId: dataset.datasetId, files: fileIds.length }, "Feature files merged");
  return { filesReplaced: fileIds.length, more: true };
}

async function mergeFiles(
  { duckdb, dataDir, ids }: OfflineContext,
  dataset: Dataset,
  files: readonly CatalogueFile[],
  signal: AbortSignal | undefined,
): Promise<CatalogueFile> {
  const featureCount = Math.max(...files.map((file) => file.featureCount));
  if (featureCount > dataset.features.length) {
    throw new AppError(
      "ABORTED",
      "DATASET_CHANGED",
      "The feature group has got more features meanwhile. Read its definition again, and then try again.",
    );
  }
  const features = Array.from({ length: featureCount }, (_, index) => index);
  const { day } = files[0]!;
  const fileId = ids.uuid();
  const path = filePath(dataset, day ?? undefined, fileId);
  const rows = readDatasetFiles(dataDir, dataset, features, files);
  const { rowCount, sizeBytes } = await duckdb.use(
    (session) => writeDatasetFile(session, dataDir, { dataset, features, rows, path }),
    signal,
  );
  const merged: CatalogueFile = {
    fileId,
    datasetId: dataset.datasetId,
    path,
    day,
    featureCount,
    rowCount,
    sizeBytes,
    minEventTime: Math.min(...files.map((file) => file.minEventTime)),
    maxEventTime: Math.max(...files.map((file) => file.maxEventTime)),
    minCreatedAt: Math.min(...files.map((file) => file.minCreatedAt)),
    maxCreatedAt: Math.max(...files.map((file) => file.maxCreatedAt)),
  };
  const expected = files.reduce((sum, file) => sum + file.rowCount, 0);
  if (rowCount === expected) return merged;
  throw new Error(`Merging ${files.length} files gave ${rowCount} rows instead of ${expected}; they stay as they are.`);
}

/** Files of one day that are worth merging, or undefined. */
export function chooseFiles(
  files: readonly CatalogueFile[],
  limits: Pick<OfflineLimits, "compactFiles" | "compactBytes" | "settledAfterMs">,
  nowMs: number,
): CatalogueFile[] | undefined {
  const days = Map.groupBy(files, ({ day }) => day);
  for (const ofDay of days.values()) {
    const ascending = ofDay.toSorted((left, right) => left.sizeBytes - right.sizeBytes);
    const lastWrittenMs = Math.max(...ofDay.map(({ maxCreatedAt }) => maxCreatedAt / MICROS_PER_MS));
    const isSettled = lastWrittenMs < nowMs - limits.settledAfterMs;
    const chosen = isSettled ? upToBytes(ascending, limits.compactBytes) : similarOnes(ascending, limits.compactBytes);
    if (chosen.length >= (isSettled ? 2 : limits.compactFiles)) return chosen;
  }
  return undefined;
}

/** The smallest files that fit. */
function upToBytes(ascending: readonly CatalogueFile[], maxBytes: number): CatalogueFile[] {
  let sum = 0;
  const end = ascending.findIndex(({ sizeBytes }) => {
    sum += sizeBytes;
    return sum > maxBytes;
  });
  return ascending.slice(0, end < 0 ? ascending.length : end);
}

/** The smallest files as long as none is larger than those before it together, so that a row is rewritten few times. */
function similarOnes(ascending: readonly CatalogueFile[], maxBytes: number): CatalogueFile[] {
  let before = 0;
  const end = ascending.findIndex(({ sizeBytes }) => {
    const isLarge = sizeBytes > SMALL_BYTES && before > 0 && sizeBytes > before;
    before += sizeBytes;
    return isLarge;
  });
  return upToBytes(ascending.slice(0, end < 0 ? ascending.length : end), maxBytes);
}
