import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createRedis } from "../../src/platform/redis/redis-client.ts";
import {
  createFailoverLeaseStore,
  createLeaseCharge,
  createPostgresLeaseStore,
  createRedisLeaseStore,
  type LeaseStore,
  leaseMigrations,
} from "../../src/services/leases/index.ts";
import { createTestRedisUrl, startRedis } from "../support/redis.ts";
import { startRedisCluster } from "../support/redis-cluster.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";

export interface OpenLeaseStore {
  readonly store: LeaseStore;
  close(): Promise<void>;
}

export interface LeaseEngine {
  readonly name: string;
  open(): Promise<OpenLeaseStore>;
}

async function openRedis(url: string, stopServer: () => Promise<void> = async () => {}) {
  const redis = await createRedis({ url });
  return {
    store: createRedisLeaseStore(redis),
    async close() {
      await redis.close();
      await stopServer();
    },
  };
}

async function openPglite(engine = databaseEngines[0]!) {
  const { database, close }: OpenEngine = await engine.open();
  await migrate(database, leaseMigrations);
  return { database, store: createPostgresLeaseStore(database), close };
}

async function openFailover(primary: Awaited<ReturnType<typeof openRedis>>) {
  const secondary = await openPglite();
  const charge = createLeaseCharge(secondary.database);
  const store = createFailoverLeaseStore({ primary: primary.store, secondary: secondary.store, charge });
  return {
    store,
    async close() {
      store.close();
      await Promise.all([primary.close(), secondary.close()]);
    },
  };
}

/** Every lease store there is, each starting out empty. */
export const leaseEngines: readonly LeaseEngine[] = [
  ...databaseEngines.map((engine) => ({ name: engine.name, open: () => openPglite(engine) })),
  { name: "Redis", open: async () => openRedis(await createTestRedisUrl()) },
  {
    name: "Redis Cluster",
    async open() {
      const cluster = await startRedisCluster();
      return openRedis(cluster.url, () => cluster.stop());
    },
  },
  { name: "failover, Redis up", open: async () => openFailover(await openRedis(await createTestRedisUrl())) },
  {
    name: "failover, Redis down",
    async open() {
      const server = await startRedis();
      const primary = await openRedis(server.url);
      await server.stop();
      return openFailover(primary);
    },
  },
];
