import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Call, type NamespaceQuotas, type NamespaceScope } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { ANONYMOUS, type Principal } from "../../src/core/principal.ts";
import { createLocalPubSub } from "../../src/platform/local-pubsub.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createRedis } from "../../src/platform/redis/redis-client.ts";
import { CreateFeatureGroupRequest } from "../../src/services/features/definitions/group-model.ts";
import { createFeaturesDomain, type FeatureServices } from "../../src/services/features/features-domain.ts";
import type { FeatureRow } from "../../src/services/features/ingestion/write-model.ts";
import { featureMigrations } from "../../src/services/features/migrations.ts";
import { ReadFeaturesRequest } from "../../src/services/features/reading/online-model.ts";
import { createTestRedisUrl } from "../support/redis.ts";
import { databaseEngines } from "./engines.ts";

export const NAMESPACE = "default";
const PRINCIPAL: Principal = { ...ANONYMOUS, id: "key:test", kind: "API_KEY" };
const SCOPE: NamespaceScope = { name: NAMESPACE, isolation: "SHARED", quotas: {} };

export interface FeatureRowsFixture {
  readonly services: FeatureServices;
  readonly database: Database;
  /** Starts what moves rows about in the background. */
  start(): Promise<void>;
  call(quotas?: NamespaceQuotas): Call;
  group(group: string, fields: Readonly<Record<string, unknown>>): Promise<unknown>;
  write(
    group: string,
    rows: readonly FeatureRow[],
    quotas?: NamespaceQuotas,
  ): ReturnType<FeatureServices["featureWrites"]["write"]>;
  read(
    features: readonly string[],
    entities: Readonly<Record<string, readonly (string | number | null)[]>>,
  ): ReturnType<FeatureServices["featureReads"]["read"]>;
  close(): Promise<void>;
}

/** Where a feature store can keep its rows. */
export const featureSetups: readonly { readonly name: string; open(): Promise<FeatureRowsFixture> }[] = [
  ...databaseEngines.map((engine) => ({ name: engine.name, open: () => openFixture(engine, false) })),
  { name: "Postgres and Redis", open: () => openFixture(databaseEngines[1]!, true) },
];

async function openFixture(engine: (typeof databaseEngines)[number], withRedis: boolean): Promise<FeatureRowsFixture> {
  const { database, close } = await engine.open();
  await migrate(database, featureMigrations);
  const featuresDir = await mkdtemp(join(tmpdir(), "tarl-features-"));
  const redis = withRedis ? await createRedis({ url: await createTestRedisUrl() }) : undefined;
  const {
    services,
    upkeep,
    close: closeDomain,
  } = await createFeaturesDomain({
    database,
    redis,
    directory: { peek: () => SCOPE, get: async () => SCOPE },
    pubsub: createLocalPubSub(),
    clock: systemClock,
    ids: createIdGenerator(systemClock),
    logger: silentLogger,
    featuresDir,
    maxQueryMemoryMb: 256,
    usedStorageBytes: async () => 0,
  });
  const call = (quotas: NamespaceQuotas = {}) => {
    const made = new Call({ protocol: "rest" });
    made.namespace = { ...SCOPE, quotas };
    return made;
  };
  return {
    services,
    database,
    start: () => upkeep.start(),
    call,
    group: (group, fields) =>
      services.featureGroups.create(
        CreateFeatureGroupRequest.parse({ namespace: NAMESPACE, group, ...fields }),
        PRINCIPAL,
      ),
    write: (group, rows, quotas) =>
      services.featureWrites.write({ namespace: NAMESPACE, group, rows: [...rows] }, call(quotas)),
    read: (features, entities) =>
      services.featureReads.read(
        ReadFeaturesRequest.parse({
          namespace: NAMESPACE,
          features,
          entities: Object.entries(entities).map(([key, values]) => ({ key, values })),
        }),
      ),
    async close() {
      await upkeep.stop(5_000);
      await closeDomain();
      await redis?.close();
      await close();
      await rm(featuresDir, { recursive: true, force: true });
    },
  };
}
