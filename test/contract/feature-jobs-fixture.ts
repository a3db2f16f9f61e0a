import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { Call, type NamespaceQuotas, type NamespaceScope } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { type Logger, silentLogger } from "../../src/core/logger.ts";
import { ANONYMOUS, type Principal } from "../../src/core/principal.ts";
import { createLocalPubSub } from "../../src/platform/local-pubsub.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createRedis, type RedisClient } from "../../src/platform/redis/redis-client.ts";
import { CreateFeatureGroupRequest } from "../../src/services/features/definitions/group-model.ts";
import { createFeaturesDomain, type FeaturesDomain } from "../../src/services/features/features-domain.ts";
import { CreateFeatureFileRequest } from "../../src/services/features/files/file-model.ts";
import type { FeatureRow } from "../../src/services/features/ingestion/write-model.ts";
import type { FeatureJob } from "../../src/services/features/jobs/job-model.ts";
import { featureMigrations } from "../../src/services/features/migrations.ts";
import { ReadFeaturesRequest } from "../../src/services/features/reading/online-model.ts";
import { eventually } from "../support/eventually.ts";
import { createTestRedisUrl } from "../support/redis.ts";
import { databaseEngines } from "./engines.ts";

export const NAMESPACE = "default";
export const OPERATOR: Principal = {
  ...ANONYMOUS,
  id: "key:operator",
  kind: "API_KEY",
  grants: new Map([["*", new Set(["*"])]]),
};
/** Short, so that a job whose gateway has gone is soon another's. */
const LEASE_MS = 600;
const CHUNK_BYTES = 1024 * 1024;

export interface FeatureJobsFixture {
  readonly database: Database;
  readonly redis: RedisClient | undefined;
  readonly featuresDir: string;
  /** Errors that the first gateway logged: each is a bug somewhere. */
  readonly logged: readonly string[];
  /** The first gateway; its jobs run. */
  readonly domain: FeaturesDomain;
  /** Another gateway on the same stores, whose jobs do not run before they are started. */
  another(logger?: Logger): Promise<FeaturesDomain>;
  call(options?: {
    readonly quotas?: NamespaceQuotas;
    readonly principal?: Principal;
    readonly namespace?: string;
  }): Call;
  group(fields?: Readonly<Record<string, unknown>>): Promise<string>;
  write(group: string, rows: readonly FeatureRow[]): Promise<void>;
  online(group: string, feature: string, users: readonly string[]): Promise<readonly unknown[]>;
  /** All rows of the history. */
  historyOf(group: string): Promise<{ readonly users: unknown[]; readonly values: unknown[] }>;
  upload(name: string, content: string | Buffer): Promise<string>;
  download(fileId: string): Promise<Buffer>;
  /** Waits until the job has ended. */
  ended(job: FeatureJob): Promise<FeatureJob>;
  close(): Promise<void>;
}

export interface JobSetup {
  readonly name: string;
  /** `idle`: jobs do not run before a test starts them. */
  open(idle?: "idle"): Promise<FeatureJobsFixture>;
}

export const jobSetups: readonly JobSetup[] = [
  { name: "PGlite", open: (idle) => openFixture(databaseEngines[0]!, false, idle) },
  { name: "Postgres and Redis", open: (idle) => openFixture(databaseEngines[1]!, true, idle) },
];

async function openFixture(
  engine: (typeof databaseEngines)[number],
  withRedis: boolean,
  idle: "idle" | undefined,
): Promise<FeatureJobsFixture> {
  const { database, close } = await engine.open();
  await migrate(database, featureMigrations);
  const featuresDir = await mkdtemp(join(tmpdir(), "tarl-jobs-'[1]"));
  const redis = withRedis ? await createRedis({ url: await createTestRedisUrl() }) : undefined;
  const domains: FeaturesDomain[] = [];
  const scopeOf = (name: string): NamespaceScope => ({ name, isolation: "SHARED", quotas: {} });
  const another = async (logger = silentLogger) => {
    const domain = await createFeaturesDomain({
      ...{ database, redis, featuresDir, logger, clock: systemClock, ids: createIdGenerator(systemClock) },
      directory: { peek: scopeOf, get: async (name) => scopeOf(name) },
      pubsub: createLocalPubSub(),
      maxQueryMemoryMb: 256,
      usedStorageBytes: async () => 0,
      jobLeaseMs: LEASE_MS,
    });
    domains.push(domain);
    return domain;
  };
  const logged: string[] = [];
  const domain = await another({
    ...silentLogger,
    error: (fields, message) => logged.push(`${message} ${inspect(fields)}`),
  });
  if (idle === undefined) await domain.jobs.start();
  const { services } = domain;
  const call: FeatureJobsFixture["call"] = ({ quotas = {}, principal = OPERATOR, namespace = NAMESPACE } = {}) => {
    const made = new Call({ protocol: "rest" });
    made.namespace = { ...scopeOf(namespace), quotas };
    made.principal = principal;
    return made;
  };
  let groups = 0;
  return {
    ...{ database, redis, featuresDir, logged, domain, another, call },
    async group(fields = {}) {
      const group = `g${++groups}`;
      const request = CreateFeatureGroupRequest.parse({
        ...{ namespace: NAMESPACE, group, entityKeys: [{ name: "user", type: "STRING" }] },
        features: [{ name: "clicks", type: "INT64", rules: { min: 0 } }],
        ...fields,
      });
      await services.featureGroups.create(request, OPERATOR);
      return group;
    },
    async write(group, rows) {
      await services.featureWrites.write({ namespace: NAMESPACE, group, rows: [...rows] }, call());
    },
    async online(group, feature, users) {
      const request = ReadFeaturesRequest.parse({
        ...{ namespace: NAMESPACE, features: [`${group}:${feature}`] },
        entities: [{ key: "user", values: users }],
      });
      return (await services.featureReads.read(request)).columns[0]!.values.values;
    },
    async historyOf(group) {
      const users: unknown[] = [];
      const values: unknown[] = [];
      let pageToken: string | undefined;
      do {
        const page = await services.featureHistory.range(
          { namespace: NAMESPACE, group, features: [], pageSize: 1000, pageToken },
          call(),
        );
        users.push(...page.rows.entities[0]!.values);
        values.push(...page.rows.columns[0]!.values.values);
        pageToken = page.nextPageToken;
      } while (pageToken !== undefined);
      return { users, values };
    },
    async upload(name, content) {
      const bytes = Buffer.from(content);
      const format = name.slice(name.lastIndexOf(".") + 1).toUpperCase();
      const { fileId } = await services.featureFiles.create(
        CreateFeatureFileRequest.parse({ namespace: NAMESPACE, name, format }),
        call(),
      );
      for (let offset = 0; offset < bytes.length; offset += CHUNK_BYTES) {
        const data = bytes.subarray(offset, offset + CHUNK_BYTES).toString("base64");
        await services.featureFiles.append({ namespace: NAMESPACE, fileId, offset, data }, call());
      }
      await services.featureFiles.finish({ namespace: NAMESPACE, fileId }, call());
      return fileId;
    },
    async download(fileId) {
      const parts: Buffer[] = [];
      let offset: number | undefined = 0;
      while (offset !== undefined) {
        const part = await services.featureFiles.read({ namespace: NAMESPACE, fileId, offset, length: CHUNK_BYTES });
        parts.push(Buffer.from(part.data, "base64"));
        offset = part.nextOffset;
      }
      return Buffer.concat(parts);
    },
    ended: ({ jobId }) =>
      eventually(
        "the job ends",
        async () => {
          const job = await services.featureJobs.get({ namespace: NAMESPACE, jobId });
          return job.finishedAt !== undefined && job;
        },
        20_000,
      ),
    async close() {
      for (const { jobs, upkeep } of domains) await Promise.all([jobs.stop(5000), upkeep.stop(5000)]);
      for (const one of domains) await one.close();
      await redis?.close();
      await close();
      await rm(featuresDir, { recursive: true, force: true });
    },
  };
}
