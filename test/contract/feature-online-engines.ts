import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createRedis } from "../../src/platform/redis/redis-client.ts";
import { featureMigrations } from "../../src/services/features/migrations.ts";
import type { OnlineStore } from "../../src/services/features/online/online-store.ts";
import { createPostgresOnlineStore } from "../../src/services/features/online/postgres-online-store.ts";
import { createRedisOnlineStore } from "../../src/services/features/online/redis-online-store.ts";
import { createTestRedisUrl } from "../support/redis.ts";
import { startRedisCluster } from "../support/redis-cluster.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";

export interface OpenOnlineStore {
  readonly store: OnlineStore;
  /** Another client of the same store. */
  readonly other: OnlineStore;
  close(): Promise<void>;
}

export interface OnlineEngine {
  readonly name: string;
  open(): Promise<OpenOnlineStore>;
}

async function openRedis(url: string, stopServer: () => Promise<void> = async () => {}): Promise<OpenOnlineStore> {
  const clients = await Promise.all([createRedis({ url }), createRedis({ url })]);
  const [store, other] = clients.map(createRedisOnlineStore);
  return {
    store: store!,
    other: other!,
    async close() {
      await Promise.all(clients.map((client) => client.close()));
      await stopServer();
    },
  };
}

async function openDatabase(engine: (typeof databaseEngines)[number]): Promise<OpenOnlineStore> {
  const { database, close }: OpenEngine = await engine.open();
  await migrate(database, featureMigrations);
  return { store: createPostgresOnlineStore(database), other: createPostgresOnlineStore(database), close };
}

/** Every online store there is, each starting out empty. */
export const onlineEngines: readonly OnlineEngine[] = [
  ...databaseEngines.map((engine) => ({ name: engine.name, open: () => openDatabase(engine) })),
  { name: "Redis", open: async () => openRedis(await createTestRedisUrl()) },
  {
    name: "Redis Cluster",
    async open() {
      const cluster = await startRedisCluster();
      return openRedis(cluster.url, () => cluster.stop());
    },
  },
];
