import { resolve } from "node:path";
import type { Clock } from "../../../core/clock.ts";
import type { IdGenerator } from "../../../core/ids.ts";
import type { Logger } from "../../../core/logger.ts";
import { createDuckdb, type DuckdbOptions } from "../../../platform/duckdb/duckdb.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import { compactOnce } from "./compaction.ts";
import { readStatistics, replaceAllFiles } from "./file-catalogue.ts";
import { createFilePins } from "./file-pins.ts";
import { flushOnce } from "./flush.ts";
import { createFolderCheck, guardFolder } from "./folder-mark.ts";
import { removeLeftovers } from "./leftovers.ts";
import { type BeforeForget, DEFAULT_LIMITS, type OfflineContext, type OfflineLimits } from "./offline-context.ts";
import type { OfflineStore } from "./offline-store.ts";
import { exportPointInTime, readPointInTime } from "./point-in-time-output.ts";
import { exportRange } from "./range-export.ts";
import { readLatest, readRange, scanLatest } from "./row-pages.ts";
import { append, clearLog, pendingDatasets } from "./write-log.ts";

export interface DuckdbOfflineStoreOptions {
  readonly database: Database;
  /** Several gateways that share a database share this folder as well. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly logger: Logger;
  readonly beforeForget?: BeforeForget | undefined;
  readonly duckdb?: Omit<DuckdbOptions, "dataDir"> | undefined;
  readonly limits?: Partial<OfflineLimits> | undefined;
}

/** The history of feature rows: a log in Postgres, Parquet files that DuckDB reads and writes, and their catalogue in Postgres. */
export function createDuckdbOfflineStore(options: DuckdbOfflineStoreOptions): OfflineStore {
  const { database, clock, ids, logger } = options;
  const dataDir = resolve(options.dataDir);
  const checkFolder = createFolderCheck({ database, dataDir, ids });
  const duckdb = guardFolder(createDuckdb({ ...options.duckdb, dataDir }), checkFolder);
  const context: OfflineContext = {
    database,
    duckdb,
    dataDir,
    clock,
    ids,
    logger,
    beforeForget: options.beforeForget ?? (async () => {}),
    limits: { ...DEFAULT_LIMITS, ...options.limits },
    pins: createFilePins(),
  };

  return {
    append: (datasetId, rows, transaction = database) => append(transaction, datasetId, rows),
    pendingDatasets: (limit) => pendingDatasets(database, limit),
    flushOnce: (dataset, run) => flushOnce(context, dataset, run),
    compactOnce: (dataset, run) => compactOnce(context, dataset, run),
    async removeLeftovers(run) {
      await checkFolder();
      return { filesRemoved: await removeLeftovers(context, run) };
    },
    pointInTime: (request, run = {}) =>
      duckdb.iterate((session) => readPointInTime(context, session, request, run), run.signal),
    exportPointInTime: (request, target, run = {}) =>
      duckdb.use((session) => exportPointInTime(context, session, request, target, run), run.signal),
    latest: (dataset, request, run) =>
      duckdb.use((session) => readLatest(context, session, dataset, request), run?.signal),
    range: (dataset, request, run) =>
      duckdb.use((session) => readRange(context, session, dataset, request), run?.signal),
    scanLatest: (dataset, request, run) =>
      duckdb.iterate((session) => scanLatest(context, session, dataset, request), run?.signal),
    exportRange: (dataset, request, target, run) =>
      duckdb.use((session) => exportRange(context, session, dataset, request, target), run?.signal),
    statistics: (datasetIds) => readStatistics(database, datasetIds),
    async removeDataset(datasetId) {
      await clearLog(database, datasetId);
      await replaceAllFiles(database, datasetId, clock.now());
    },
    close: () => duckdb.close(),
  };
}
