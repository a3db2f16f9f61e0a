import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "./config/config.ts";
import type { Clock } from "./core/clock.ts";
import type { Logger } from "./core/logger.ts";
import {
  createFallbackSliceSource,
  createMemorySliceSource,
  createPostgresSliceSource,
  createRedisSliceSource,
  IDEMPOTENCY_MIGRATIONS,
  RATE_LIMIT_MIGRATIONS,
  type SliceSource,
} from "./interceptors/index.ts";
import { createLocalPubSub } from "./platform/local-pubsub.ts";
import type { Database } from "./platform/postgres/database.ts";
import { migrate } from "./platform/postgres/migrate.ts";
import { createPgliteDatabase } from "./platform/postgres/pglite-database.ts";
import { createPostgresDatabase } from "./platform/postgres/postgres-database.ts";
import { createPostgresPubSub } from "./platform/postgres/postgres-pubsub.ts";
import type { QueryObserver } from "./platform/postgres/query-observer.ts";
import type { PubSub } from "./platform/pubsub.ts";
import { createRedis, type RedisClient } from "./platform/redis/redis-client.ts";
import { createRedisPubSub } from "./platform/redis/redis-pubsub.ts";
import {
  createFailoverLeaseStore,
  createPostgresLeaseStore,
  createRedisLeaseStore,
  leaseMigrations,
  type MergeableLeaseStore,
} from "./services/leases/index.ts";
import { taskMigrations } from "./services/tasks/index.ts";
import { TENANCY_MIGRATIONS } from "./services/tenancy/index.ts";

/** Everything that keeps something, opened and migrated. */
export interface Stores {
  readonly database: Database;
  readonly redis: RedisClient | undefined;
  readonly pubsub: PubSub;
  readonly leases: MergeableLeaseStore;
  readonly slices: SliceSource;
  /** What a person would call the stores in use. */
  readonly names: { readonly database: string; readonly hot: string };
  close(): Promise<void>;
}

const MIGRATIONS = [
  ...TENANCY_MIGRATIONS,
  ...RATE_LIMIT_MIGRATIONS,
  ...IDEMPOTENCY_MIGRATIONS,
  ...leaseMigrations,
  ...taskMigrations,
];

/** Opens what the configuration names: the embedded database or Postgres, with Redis or without. */
export async function openStores(
  config: Config,
  clock: Clock,
  logger: Logger,
  onQuery?: QueryObserver,
): Promise<Stores> {
  const database = await openDatabase(config, logger, onQuery);
  try {
    await migrate(database, MIGRATIONS);
    return config.redisUrl === undefined
      ? await withoutRedis(config, database, logger)
      : await withRedis(config, config.redisUrl, database, clock, logger);
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function openDatabase(config: Config, logger: Logger, onQuery?: QueryObserver): Promise<Database> {
  const observed = onQuery ? { onQuery } : {};
  if (config.databaseUrl === undefined) {
    return createPgliteDatabase({
      dataDir: join(config.dataDir, "postgres"),
      templateDir: fileURLToPath(new URL("../.embedded/postgres", import.meta.url)),
      ...observed,
    });
  }
  return createPostgresDatabase({
    url: config.databaseUrl,
    maxConnections: config.databaseMaxConnections,
    onConnectionError: (error) =>
      logger.warn({ err: error }, "A database connection broke; a new one is made when needed."),
    ...observed,
  });
}

async function withoutRedis(config: Config, database: Database, logger: Logger): Promise<Stores> {
  const url = config.databaseUrl;
  const onError = (error: unknown) => logger.warn({ err: error }, "A message between gateways was lost.");
  const pubsub = url === undefined ? createLocalPubSub(onError) : await createPostgresPubSub({ url, onError });
  return {
    database,
    redis: undefined,
    pubsub,
    leases: createPostgresLeaseStore(database),
    slices: url === undefined ? createMemorySliceSource() : createPostgresSliceSource(database),
    names: { database: databaseName(config), hot: databaseName(config) },
    async close() {
      await pubsub.close();
      await database.close();
    },
  };
}

async function withRedis(
  config: Config,
  url: string,
  database: Database,
  clock: Clock,
  logger: Logger,
): Promise<Stores> {
  const redis = await createRedis({
    url,
    connectionName: "tarl-gateway",
    onError: (error) => logger.warn({ err: error }, "Redis does not answer; the database does its work until it does."),
  });
  const pubsub = await createRedisPubSub({
    redis,
    url,
    onError: (error) => logger.warn({ err: error }, "A message between gateways was lost."),
  });
  const leases = createFailoverLeaseStore({
    primary: createRedisLeaseStore(redis),
    secondary: createPostgresLeaseStore(database),
    onFailover: (failedOver) =>
      logger.warn(
        { failedOver },
        failedOver ? "Leases are kept in the database while Redis is away." : "Leases are kept in Redis again.",
      ),
  });
  return {
    database,
    redis,
    pubsub,
    leases,
    slices: createFallbackSliceSource(createRedisSliceSource(redis.driver), createMemorySliceSource(), {
      clock,
      logger,
    }),
    names: { database: databaseName(config), hot: "redis" },
    async close() {
      leases.close();
      await pubsub.close();
      await redis.close();
      await database.close();
    },
  };
}

function databaseName(config: Config): string {
  return config.databaseUrl === undefined ? "embedded postgres" : "postgres";
}
