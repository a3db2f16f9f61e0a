import type { Clock } from "../../core/clock.ts";
import type { IdGenerator } from "../../core/ids.ts";
import type { Component } from "../../core/lifecycle.ts";
import type { Logger } from "../../core/logger.ts";
import type { Database } from "../../platform/postgres/database.ts";
import type { PubSub } from "../../platform/pubsub.ts";
import type { RedisClient } from "../../platform/redis/redis-client.ts";
import type { NamespaceDirectory } from "../tenancy/index.ts";
import { createDefinitionChanges } from "./definitions/definition-changes.ts";
import { createFeatureCatalog, type FeatureCatalog } from "./definitions/feature-catalog.ts";
import { createGroupService, type GroupService } from "./definitions/group-service.ts";
import { createFeatureSearch, type FeatureSearch } from "./definitions/search-service.ts";
import { createShareService, type ShareService } from "./definitions/share-service.ts";
import { createViewService, type ViewService } from "./definitions/view-service.ts";
import type { FileService } from "./files/file-service.ts";
import { createIngestSession, type IngestSession } from "./ingestion/ingest-session.ts";
import { createPutOnline } from "./ingestion/put-online.ts";
import { createQuarantineService, type QuarantineService } from "./ingestion/quarantine-service.ts";
import { createStorageGuard } from "./ingestion/storage-guard.ts";
import { createWriteService, type WriteService } from "./ingestion/write-service.ts";
import { createBulk } from "./jobs/bulk.ts";
import type { JobService } from "./jobs/job-service.ts";
import { createDuckdbOfflineStore } from "./offline/duckdb-offline-store.ts";
import { createCachedOnlineStore } from "./online/cached-online-store.ts";
import { createPostgresOnlineStore, purgeForgotten } from "./online/postgres-online-store.ts";
import { createRedisOnlineStore } from "./online/redis-online-store.ts";
import { createHistoryService, type HistoryService } from "./reading/history-service.ts";
import { createOnlineReadService, type OnlineReadService } from "./reading/online-read-service.ts";
import { getTendedDataset } from "./upkeep/dataset-store.ts";
import { createFeatureUpkeep } from "./upkeep/feature-upkeep.ts";

/** What this domain's operations are handed. */
export interface FeatureServices {
  readonly featureGroups: GroupService;
  readonly featureViews: ViewService;
  readonly featureShares: ShareService;
  readonly featureSearch: FeatureSearch;
  readonly featureWrites: WriteService;
  readonly featureIngest: IngestSession;
  readonly quarantine: QuarantineService;
  readonly featureReads: OnlineReadService;
  readonly featureHistory: HistoryService;
  readonly featureFiles: FileService;
  readonly featureJobs: JobService;
}

export interface FeaturesDomain {
  readonly services: FeatureServices;
  readonly catalog: FeatureCatalog;
  /** What moves rows about in the background. Nothing runs until it is started. */
  readonly upkeep: Component;
  /** What does the jobs that clients start. Nothing runs until it is started. */
  readonly jobs: Component;
  close(): Promise<void>;
}

export interface FeaturesDomainOptions {
  readonly database: Database;
  /** Keeps the newest rows; the database does where it is absent. */
  readonly redis: RedisClient | undefined;
  readonly directory: NamespaceDirectory;
  readonly pubsub: PubSub;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly logger: Logger;
  /** Where the Parquet files are: gateways that share a database share this folder too. */
  readonly featuresDir: string;
  /** What DuckDB may take of the memory before it spills to the disk. */
  readonly maxQueryMemoryMb: number;
  /** What a namespace stores in all domains together, in bytes. */
  readonly usedStorageBytes: (namespace: string) => Promise<number>;
  /** How long a gateway that says nothing holds a job; shorter in tests. */
  readonly jobLeaseMs?: number | undefined;
}

const CACHE_ENTRIES = 100_000;
const CACHE_BYTES = 64 * 1024 * 1024;

/** Builds the domain. Nothing runs until `upkeep` is started. */
export async function createFeaturesDomain(options: FeaturesDomainOptions): Promise<FeaturesDomain> {
  const { database, redis, directory, clock, ids, logger } = options;
  const changes = createDefinitionChanges(options.pubsub);
  const catalog = await createFeatureCatalog({ database, directory, clock, changes });
  const online = createCachedOnlineStore({
    store: redis === undefined ? createPostgresOnlineStore(database) : createRedisOnlineStore(redis),
    clock,
    maxEntries: CACHE_ENTRIES,
    maxBytes: CACHE_BYTES,
  });
  const putOnline = createPutOnline(online);
  const offline = createDuckdbOfflineStore({
    database,
    dataDir: options.featuresDir,
    clock,
    ids,
    logger,
    duckdb: { memoryLimitMb: options.maxQueryMemoryMb },
    // A gateway that died between the log and the online store leaves this to whoever flushes. What this
    // one has put itself is not put again: that would double the cost of a write.
    async beforeForget(dataset, rows) {
      const tended = await getTendedDataset(database, dataset.datasetId);
      if (tended !== undefined) await putOnline(tended, rows, { skipsRemembered: true });
    },
  });
  const checkStorage = createStorageGuard({ clock, usedBytes: options.usedStorageBytes });
  const writes = createWriteService({ database, catalog, offline, putOnline, checkStorage, clock, ids });
  const bulk = createBulk({ ...options, catalog, offline, online, putOnline, writes, checkStorage });
  return {
    services: {
      featureGroups: createGroupService({ database, clock, changes }),
      featureViews: createViewService({ database, directory, clock, changes }),
      featureShares: createShareService({ database, clock, changes }),
      featureSearch: createFeatureSearch({ database }),
      featureWrites: writes,
      featureIngest: createIngestSession(catalog, writes),
      quarantine: createQuarantineService({ database, catalog, writes }),
      featureReads: createOnlineReadService({ catalog, online, clock }),
      featureHistory: createHistoryService(catalog, offline),
      ...bulk.services,
    },
    catalog,
    upkeep: createFeatureUpkeep({
      database,
      offline,
      online,
      forgetOnline: redis === undefined ? (limit) => purgeForgotten(database, limit) : undefined,
      logger,
    }),
    jobs: bulk.background,
    async close() {
      catalog.close();
      await bulk.close();
      await offline.close();
    },
  };
}
