import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { readAdminKeyFile, writeAdminKeyFile } from "./admin-key-file.ts";
import type { Config } from "./config/config.ts";
import { createGrpcCodec } from "./contract/grpc-codec.ts";
import { checkOperations } from "./contract/registry.ts";
import { type Clock, systemClock } from "./core/clock.ts";
import { createIdGenerator, type IdGenerator } from "./core/ids.ts";
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
} from "./interceptors/index.ts";
import { edges, operations } from "./operations.ts";
import { createCallObserver } from "./platform/telemetry/call-observer.ts";
import { createMetrics, type Metrics } from "./platform/telemetry/metrics.ts";
import type { Tracing } from "./platform/telemetry/tracing.ts";
import { createLeaseResourceStore, createLeaseService, createLeaseSweeper } from "./services/leases/index.ts";
import { createSystemService } from "./services/system/index.ts";
import { createTasksDomain, holdsTasks, purgeTasksOf, readDepths, readTaskUsage } from "./services/tasks/index.ts";
import { type AdminKeyOptions, createAdminKey, createTenancy, ensureAdminKey } from "./services/tenancy/index.ts";
import { openStores, type Stores } from "./stores.ts";
import { createTransports, type Transports } from "./transports.ts";

export interface Gateway extends Component {
  /** Where it can be reached and what the admin key's file is, once it has started. */
  readonly addresses: { readonly rest: string; readonly graphql: string; readonly grpc: string };
  /** Whether the admin key was made by this start. */
  readonly madeAdminKey: boolean;
}

export interface GatewayOptions {
  readonly clock?: Clock;
  /** Left out while tracing is off. */
  readonly tracing?: Tracing | undefined;
}

const MAX_QUEUES_IN_METRICS = 500;
const PURGE_INTERVAL_MS = 60_000;
const PURGE_BATCH = 1000;

/** Opens the stores, builds everything on them, and answers the gateway, ready to be started. */
export async function createGateway(config: Config, logger: Logger, options: GatewayOptions = {}): Promise<Gateway> {
  const { clock = systemClock, tracing } = options;
  const ids = createIdGenerator(clock);
  const version = await readVersion();
  checkOperations(operations);
  const metrics = createMetrics({ logger, processMetrics: true });
  const stores = await openStores(config, clock, logger, tracing?.onQuery);
  try {
    const parts = await buildDomains({ config, clock, ids, logger, metrics, tracing, stores, version });
    const madeAdminKey = await provideAdminKey(config, { database: stores.database, clock, ids });
    const transports = await createTransports({
      config,
      logger,
      ids,
      metrics,
      operations,
      edges,
      codec: createGrpcCodec(operations),
      services: parts.services,
      dispatcher: parts.dispatcher,
      authenticator: parts.authenticator,
      ready: () => isReady(stores),
    });
    return assemble({ ...parts, stores, transports, tracing, logger, madeAdminKey });
  } catch (error) {
    await stores.close();
    throw error;
  }
}

/** Makes a new admin key in place of all earlier ones, writes it to its file and answers the file's path. */
export async function renewAdminKey(config: Config, logger: Logger): Promise<string> {
  const clock = systemClock;
  const stores = await openStores(config, clock, logger);
  try {
    const key = await createAdminKey({ database: stores.database, clock, ids: createIdGenerator(clock) });
    await writeAdminKeyFile(config.adminKeyFile, key);
    return config.adminKeyFile;
  } finally {
    await stores.close();
  }
}

/** On the first start, takes the key that is in the file, or makes one and writes it there. */
async function provideAdminKey(config: Config, options: AdminKeyOptions): Promise<boolean> {
  const offered = await readAdminKeyFile(config.adminKeyFile);
  const key = await ensureAdminKey(options, offered);
  if (key === undefined || key === offered) return false;
  await writeAdminKeyFile(config.adminKeyFile, key);
  return true;
}

interface BuildOptions {
  readonly config: Config;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracing: Tracing | undefined;
  readonly stores: Stores;
  readonly version: string;
}

/** The services of all domains, and the onion around their operations. */
async function buildDomains({ config, clock, ids, logger, metrics, tracing, stores, version }: BuildOptions) {
  const { database, pubsub, leases: leaseStore } = stores;
  const limiter = createRateLimiter(stores.slices, clock);
  const leases = createLeaseService({
    store: leaseStore,
    resources: createLeaseResourceStore(database),
    pubsub,
    clock,
  });
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
  const tenancy = createTenancy({
    database,
    pubsub,
    clock,
    ids,
    logger,
    jwtIssuers: config.oidc ? [config.oidc] : [],
    usageSources: [
      (namespace) => readTaskUsage(database, namespace),
      (namespace) => ({ requestsThisMinute: limiter.used(namespace) }),
    ],
    emptinessChecks: [holdsTasks],
    purgers: [
      purgeIdempotencyOfNamespace,
      purgeTasksOf,
      (transaction, namespace) => createLeaseResourceStore(transaction).removeNamespace(namespace),
    ],
  });
  const system = createSystemService({
    version,
    protocols: ["rest", "grpc", "graphql"],
    stores: Object.entries(stores.names).map(([name, engine]) => ({ name, engine })),
  });
  const services = { ...tenancy.services, ...tasks.services, leases, system };
  const { authenticator, directory } = tenancy;
  const observer = createCallObserver({
    requests: metrics.requests,
    logger,
    clock,
    tracing,
    accessLog: config.logLevel === "debug" || config.logLevel === "trace",
  });
  const records = createPostgresIdempotencyStore(database);
  const dispatcher = createDispatcher({
    services,
    logger,
    interceptors: createInterceptors({
      ids,
      logger,
      authenticator,
      directory,
      rateLimiter: limiter,
      idempotencyStore: records,
      observers: [observer],
      maxCallMs: config.requestTimeoutMs,
    }),
  });
  addQueueMetrics(metrics, stores);
  const background: Component[] = [
    tenancy,
    tasks.maintenance,
    createLeaseSweeper({ leases, logger }),
    createRecordPurge(records, logger),
  ];
  return { services, dispatcher, authenticator, background, close: () => tasks.close() };
}

/** Forgets idempotency records whose day is over. */
function createRecordPurge(records: IdempotencyStore, logger: Logger): Component {
  const work = async () => ((await records.purge(PURGE_BATCH)) === PURGE_BATCH ? 0 : undefined);
  return createLoop({ name: "idempotency.purge", intervalMs: PURGE_INTERVAL_MS, work, logger });
}

/** The depth of the deepest queues, and what happened to their leases. */
function addQueueMetrics(metrics: Metrics, { database }: Stores): void {
  const labels = ["namespace", "queue"];
  const each = async (value: (depth: Awaited<ReturnType<typeof readDepths>>[number]) => number) =>
    (await readDepths(database, MAX_QUEUES_IN_METRICS)).map((depth) => ({
      labels: { namespace: depth.namespace, queue: depth.queue },
      value: value(depth),
    }));
  metrics.gauge({
    name: "tarl_queue_ready_tasks",
    help: "Tasks that wait for a worker.",
    labels,
    collect: () => each((depth) => depth.ready),
  });
  metrics.gauge({
    name: "tarl_queue_scheduled_tasks",
    help: "Tasks that wait for their time.",
    labels,
    collect: () => each((depth) => depth.scheduled),
  });
  metrics.gauge({
    name: "tarl_queue_leased_tasks",
    help: "Tasks that are leased.",
    labels,
    collect: () => each((depth) => depth.leased),
  });
  metrics.gauge({
    name: "tarl_queue_dead_letters",
    help: "Dead letters.",
    labels,
    collect: () => each((depth) => depth.dead_lettered),
  });
  metrics.gauge({
    name: "tarl_queue_leases_given",
    help: "Leases given since the queue was made.",
    labels,
    collect: () => each((depth) => depth.leased_total),
  });
  metrics.gauge({
    name: "tarl_queue_leases_expired",
    help: "Leases that ran out since the queue was made.",
    labels,
    collect: () => each((depth) => depth.expired_total),
  });
}

async function isReady({ database, redis }: Stores) {
  const checks: Record<string, string> = {};
  const check = async (name: string, ask: () => Promise<unknown>) => {
    checks[name] = await ask().then(
      () => "ok",
      () => "does not answer",
    );
  };
  await Promise.all([
    check("database", () => database.query("SELECT 1", [])),
    ...(redis ? [check("redis", () => redis.ping())] : []),
  ]);
  // Without Redis the gateway is slower, not unable.
  return { healthy: checks.database === "ok", checks };
}

interface Parts {
  readonly background: readonly Component[];
  readonly transports: Transports;
  readonly stores: Stores;
  readonly tracing: Tracing | undefined;
  readonly logger: Logger;
  readonly madeAdminKey: boolean;
  close(): void;
}

const DRAIN_SHARE = 0.8;

function assemble({ background, transports, stores, tracing, logger, madeAdminKey, close }: Parts): Gateway {
  let started: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;

  const start = async () => {
    for (const component of background) await component.start();
    await transports.start();
  };
  // Doors first, then what works behind them, then the stores, and telemetry last so that it sees all of it.
  const stop = async (deadlineMs: number) => {
    const until = performance.now() + deadlineMs;
    const leftMs = () => Math.max(0, until - performance.now());
    await quietly(logger, "transports", transports.stop(deadlineMs * DRAIN_SHARE));
    for (const component of [...background].reverse()) await quietly(logger, component.name, component.stop(leftMs()));
    close();
    await quietly(logger, "stores", stores.close());
    await quietly(logger, "tracing", tracing?.stop(Math.max(leftMs(), 100)));
  };

  return {
    name: "gateway",
    madeAdminKey,
    get addresses() {
      return transports.addresses;
    },
    start: () => (started ??= start()),
    stop: (deadlineMs) => (stopped ??= stop(deadlineMs)),
  };
}

/** One part that cannot stop well must not keep the others from stopping. */
async function quietly(logger: Logger, part: string, stopping: Promise<void> | undefined): Promise<void> {
  try {
    await stopping;
  } catch (error) {
    logger.error({ err: error, part }, "A part of the gateway did not stop well.");
  }
}

/** The version in package.json. */
export async function readVersion(): Promise<string> {
  const { version } = JSON.parse(
    await readFile(fileURLToPath(new URL("../package.json", import.meta.url)), "utf8"),
  ) as { version: string };
  return version;
}
