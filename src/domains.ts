import type { Config } from "./config/config.ts";
import type { Clock } from "./core/clock.ts";
import type { Dispatcher } from "./core/exchange.ts";
import type { IdGenerator } from "./core/ids.ts";
import type { Component } from "./core/lifecycle.ts";
import type { Logger } from "./core/logger.ts";
import { createLoop } from "./core/loop.ts";
import {
  createDispatcher,
  createInterceptors,
  createPostgresIdempotencyStore,
  createRateLimiter,
  type IdempotencyStore,
  purgeIdempotencyOfNamespace,
  type RateLimiter,
} from "./interceptors/index.ts";
import type { Database } from "./platform/postgres/database.ts";
import { createCallObserver } from "./platform/telemetry/call-observer.ts";
import type { Metrics } from "./platform/telemetry/metrics.ts";
import type { Tracing } from "./platform/telemetry/tracing.ts";
import { createWakeUps } from "./platform/wake-ups.ts";
import { createFeaturesDomain, holdsFeatures, purgeFeaturesOf, readFeatureUsage } from "./services/features/index.ts";
import { createLeaseResourceStore, createLeaseService, createLeaseSweeper } from "./services/leases/index.ts";
import { createSystemService } from "./services/system/index.ts";
import { addTaskMetrics, createTasksDomain, holdsTasks, purgeTasksOf, readTaskUsage } from "./services/tasks/index.ts";
import { createTenancy, type Tenancy } from "./services/tenancy/index.ts";
import type { Stores } from "./stores.ts";

const PURGE_INTERVAL_MS = 60_000;
const PURGE_BATCH = 1000;

export interface DomainsOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  readonly stores: Stores;
  readonly version: string;
}

/** The services of every domain, what runs behind them, and the onion around their operations. */
export interface Domains {
  readonly services: object;
  readonly authenticator: Tenancy["authenticator"];
  readonly dispatcher: Dispatcher;
  /** In the order in which it is started. */
  readonly background: readonly Component[];
  /** Answers who waits for something at once, because the gateway goes away. */
  drain(): void;
  close(): Promise<void>;
}

/** Builds every domain on the stores. Nothing runs until `background` is started. */
export async function createDomains(options: DomainsOptions): Promise<Domains> {
  const { config, clock, ids, logger, metrics, stores } = options;
  const { database, pubsub, leases: leaseStore } = stores;
  const limiter = createRateLimiter(stores.slices, clock);
  const freed = await createWakeUps(pubsub, "leases.freed");
  const resources = createLeaseResourceStore(stores.reserved);
  const leases = createLeaseService({ store: leaseStore, resources, freed, clock });
  const tasks = await createTasksDomain({
    database,
    leases: leaseStore,
    pubsub,
    ids,
    clock,
    logger,
    maxPayloadBytes: config.maxPayloadBytes,
    retentionMs: config.taskRetentionMs,
    eventRetentionMs: config.eventRetentionMs,
  });
  const tenancy = createTenancyOn(options, limiter);
  const features = await createFeaturesDomain({
    database,
    redis: stores.redis,
    directory: tenancy.directory,
    pubsub,
    clock,
    ids,
    logger,
    featuresDir: config.featuresDir,
    maxQueryMemoryMb: config.maxQueryMemoryMb,
    usedStorageBytes: async (namespace) =>
      sumStorage(await Promise.all(storageSources(database).map((read) => read(namespace)))),
  });
  const system = createSystemService({
    version: options.version,
    protocols: ["rest", "grpc", "graphql"],
    stores: Object.entries(stores.names).map(([name, engine]) => ({ name, engine })),
  });
  const services = { ...tenancy.services, ...tasks.services, ...features.services, leases, system };
  const records = createPostgresIdempotencyStore(stores.reserved);
  addTaskMetrics(metrics, database);
  return {
    services,
    authenticator: tenancy.authenticator,
    dispatcher: createOnion(options, services, tenancy, limiter, records),
    background: [
      tenancy,
      tasks.maintenance,
      features.upkeep,
      features.jobs,
      createLeaseSweeper({ leases, logger }),
      createRecordPurge(records, logger),
    ],
    drain() {
      tasks.drain();
      freed.drain();
    },
    async close() {
      tasks.close();
      freed.close();
      await features.close();
    },
  };
}

/** What each domain knows of a namespace's use; what they store adds up. */
function storageSources(database: Database) {
  return [
    (namespace: string) => readTaskUsage(database, namespace),
    (namespace: string) => readFeatureUsage(database, namespace),
  ] as const;
}

const sumStorage = (parts: readonly { readonly storageBytes: number }[]) =>
  parts.reduce((sum, { storageBytes }) => sum + storageBytes, 0);

/** Tenancy knows the other domains only by what they use, hold and leave behind. */
function createTenancyOn({ config, clock, ids, logger, stores }: DomainsOptions, limiter: RateLimiter): Tenancy {
  const { database, pubsub } = stores;
  return createTenancy({
    database,
    lookups: stores.reserved,
    pubsub,
    clock,
    ids,
    logger,
    jwtIssuers: config.oidc ? [config.oidc] : [],
    usageSources: [...storageSources(database), (namespace) => ({ requestsThisMinute: limiter.used(namespace) })],
    emptinessChecks: [holdsTasks, holdsFeatures],
    purgers: [
      purgeIdempotencyOfNamespace,
      purgeTasksOf,
      purgeFeaturesOf,
      (transaction, namespace) => createLeaseResourceStore(transaction).removeNamespace(namespace),
    ],
  });
}

function createOnion(
  { config, clock, ids, logger, metrics, tracing }: DomainsOptions,
  services: object,
  { authenticator, directory }: Tenancy,
  rateLimiter: RateLimiter,
  idempotencyStore: IdempotencyStore,
): Dispatcher {
  const accessLog = config.logLevel === "debug" || config.logLevel === "trace";
  const observer = createCallObserver({ requests: metrics.requests, logger, clock, tracing, accessLog });
  return createDispatcher({
    services,
    logger,
    interceptors: createInterceptors({
      ids,
      logger,
      authenticator,
      directory,
      rateLimiter,
      idempotencyStore,
      observers: [observer],
      maxCallMs: config.requestTimeoutMs,
    }),
  });
}

/** Forgets idempotency records whose day is over. */
function createRecordPurge(records: IdempotencyStore, logger: Logger): Component {
  const work = async () => ((await records.purge(PURGE_BATCH)) === PURGE_BATCH ? 0 : undefined);
  return createLoop({ name: "idempotency.purge", intervalMs: PURGE_INTERVAL_MS, work, logger });
}
