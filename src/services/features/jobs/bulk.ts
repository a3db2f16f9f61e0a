import type { Clock } from "../../../core/clock.ts";
import type { IdGenerator } from "../../../core/ids.ts";
import type { Component } from "../../../core/lifecycle.ts";
import type { Logger } from "../../../core/logger.ts";
import { createLoop } from "../../../core/loop.ts";
import { createDuckdb } from "../../../platform/duckdb/duckdb.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import type { NamespaceDirectory } from "../../tenancy/index.ts";
import type { FeatureCatalog } from "../definitions/feature-catalog.ts";
import { createFileFolder } from "../files/file-folder.ts";
import { createFileService, type FileService } from "../files/file-service.ts";
import { purgeFiles } from "../files/file-upkeep.ts";
import type { PutOnline } from "../ingestion/put-online.ts";
import type { StorageGuard } from "../ingestion/storage-guard.ts";
import type { WriteService } from "../ingestion/write-service.ts";
import type { OfflineStore } from "../offline/offline-store.ts";
import type { OnlineStore } from "../online/online-store.ts";
import { createExport } from "./export-job.ts";
import { createImport } from "./import-job.ts";
import { createJobRunner, type JobRunner } from "./job-runner.ts";
import { createJobService, type JobService } from "./job-service.ts";
import { purgeJobs } from "./job-store.ts";
import { createRebuild } from "./rebuild-job.ts";

export interface BulkOptions {
  readonly database: Database;
  readonly directory: NamespaceDirectory;
  readonly catalog: FeatureCatalog;
  readonly offline: OfflineStore;
  readonly online: OnlineStore;
  readonly putOnline: PutOnline;
  readonly writes: WriteService;
  readonly checkStorage: StorageGuard;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly logger: Logger;
  readonly featuresDir: string;
  readonly maxQueryMemoryMb: number;
  readonly jobLeaseMs?: number | undefined;
}

/** Many rows at once: files that go in and out, and the jobs that work on them. */
export interface Bulk {
  readonly services: { readonly featureFiles: FileService; readonly featureJobs: JobService };
  readonly background: Component;
  close(): Promise<void>;
}

/** Files of others are read by a DuckDB of their own, so that a hostile one takes nothing from the history. */
const FILES_MEMORY_SHARE = 4;
const MIN_FILES_MEMORY_MB = 128;
const PURGE_INTERVAL_MS = 60_000;
const PURGE_BATCH = 1000;
const JOBS_KEPT_MS = 30 * 24 * 3_600_000;

export function createBulk(options: BulkOptions): Bulk {
  const { database, clock, logger } = options;
  const folder = createFileFolder(options.featuresDir);
  const duckdb = createDuckdb({
    dataDir: options.featuresDir,
    memoryLimitMb: Math.max(MIN_FILES_MEMORY_MB, Math.floor(options.maxQueryMemoryMb / FILES_MEMORY_SHARE)),
    // One thread keeps the rows of a file in their order.
    threads: 1,
  });
  const runner = createJobRunner({
    ...{ database, logger, directory: options.directory, leaseMs: options.jobLeaseMs },
    work: {
      IMPORT: createImport({ ...options, folder, duckdb }),
      EXPORT: createExport({ ...options, folder }),
      REBUILD: createRebuild(options),
    },
  });
  const purge = createLoop({
    name: "features.purge",
    intervalMs: PURGE_INTERVAL_MS,
    logger,
    work: async (signal) => {
      await purgeFiles({ database, folder, clock }, signal);
      return (await purgeJobs(database, JOBS_KEPT_MS, PURGE_BATCH)) === PURGE_BATCH ? 0 : undefined;
    },
  });
  return {
    services: {
      featureFiles: createFileService({ ...options, folder, duckdb }),
      featureJobs: createJobService({ ...options, onQueued: runner.hurry }),
    },
    background: createBackground(runner, purge),
    close: () => duckdb.close(),
  };
}

function createBackground(runner: JobRunner, purge: Component): Component {
  return {
    name: "feature jobs",
    async start() {
      await runner.start();
      await purge.start();
    },
    async stop(deadlineMs) {
      await Promise.all([runner.stop(deadlineMs), purge.stop(deadlineMs)]);
    },
  };
}
