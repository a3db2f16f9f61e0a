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
import { type Migration, migrate } from "./platform/postgres/migrate.ts";
import { createPgliteDatabase } from "./platform/postgres/pglite-database.ts";
import { pgliteTemplateDir } from "./platform/postgres/pglite-template.ts";
import { createPostgresDatabase } from "./platform/postgres/postgres-database.ts";
import { createPostgresPubSub } from "./platform/postgres/postgres-pubsub.ts";
import type { QueryObserver } from "./platform/postgres/query-observer.ts";
import type { PubSub } from "./platform/pubsub.ts";
import { createRedis, type RedisClient } from "./platform/redis/redis-client.ts";
import { createRedisPubSub } from "./platform/redis/redis-pubsub.ts";
import { featureMigrations } from "./services/features/index.ts";
import {
  createFailoverLeaseStore,
  createLeaseCharge,
  createPostgresLeaseStore,
  createRedisLeaseStore,
  type LeaseStore,
  leaseMigrations,
} from "./services/leases/index.ts";
import { taskMigrations } from "./services/tasks/index.ts";
import { TENANCY_MIGRATIONS } from "./services/tenancy/index.ts";

/** Everything that keeps something, opened and migrated. */
export interface Stores {
  readonly database: Database;
  /** The same, for what is short and must go on when other statements hang. */
  readonly reserved: Database;
  readonly redis: RedisClient | undefined;
  readonly pubsub: PubSub;
  readonly leases: LeaseStore;
  readonly slices: SliceSource;
  /** What a person would call the stores in use. */
  readonly names: { readonly database: string; readonly hot: string };
  close(): Promise<void>;
}

export const MIGRATIONS: readonly Migration[] = [
  ...TENANCY_MIGRATIONS,
  ...RATE_LIMIT_MIGRATIONS,
  ...IDEMPOTENCY_MIGRATIONS,
  ...leaseMigrations,
  ...taskMigrations,
  ...featureMigrations,
];

/** Opens what the configuration names: the embedded database or Postgres, with Redis or without. */
export async function openStores(
  config: Config,
  clock: Clock,
  logger: Logger,
  onQuery?: QueryObserver,
): Promise<Stores> {
  const databases = await openDatabase(config, logger, onQuery);
  try {
    await migrate(databases.database, MIGRATIONS);
    return config.redisUrl === undefined
      ? await withoutRedis(config, databases, logger)
      : await withRedis(config, config.redisUrl, databases, clock, logger);
  } catch (error) {
    await databases.database.close();
    throw error;
  }
}

/** Where an install has put a migrated, empty embedded database for a first start to copy. */
export function embeddedTemplateDir(): string {
  return pgliteTemplateDir(fileURLToPath(new URL("../.embedded", import.meta.url)), MIGRATIONS);
}

type Databases = Pick<Stores, "database" | "reserved">;

async function openDatabase(config: Config, logger: Logger, onQuery?: QueryObserver): Promise<Databases> {
  const observed = onQuery ? { onQuery } : {};
  if (config.databaseUrl === undefined) {
    const database = await createPgliteDatabase({
      dataDir: join(config.dataDir, "postgres"),
      templateDir: embeddedTemplateDir(),
      ...observed,
    });
    return { database, reserved: database };
  }
  const database = createPostgresDatabase({
    url: config.databaseUrl,
    maxConnections: config.databaseMaxConnections,
    // The driver hangs its whole client on the error, which is thousands of characters that help nobody.
    onConnectionError: ({ message }) =>
      logger.warn({ reason: message }, "A database connection broke; a new one is made when needed."),
    ...observed,
  });
  return { database, reserved: database.reserved };
}

async function withoutRedis(config: Config, databases: Databases, logger: Logger): Promise<Stores> {
  const { database, reserved } = databases;
  const url = config.databaseUrl;
  const onError = (error: unknown) => logger.warn({ err: error }, "A message between gateways was lost.");
  const pubsub = url === undefined ? createLocalPubSub(onError) : await createPostgresPubSub({ url, onError });
  return {
    ...databases,
    redis: undefined,
    pubsub,
    leases: createPostgresLeaseStore(reserved),
    slices: url === undefined ? createMemorySliceSource() : createPostgresSliceSource(reserved),
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
  databases: Databases,
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
    secondary: createPostgresLeaseStore(databases.reserved),
    charge: createLeaseCharge(databases.reserved),
    onFailover: (failedOver) =>
      logger.warn(
        { failedOver },
        failedOver ? "Leases are kept in the database while Redis is away." : "Leases are kept in Redis again.",
      ),
  });
  return {
    ...databases,
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
      await databases.database.close();
    },
  };
}

function databaseName(config: Config): string {
  return config.databaseUrl === undefined ? "embedded postgres" : "postgres";
}
