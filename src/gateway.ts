import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { readAdminKeyFile, writeAdminKeyFile } from "./admin-key-file.ts";
import type { Config } from "./config/config.ts";
import { createGrpcCodec } from "./contract/grpc-codec.ts";
import { checkOperations } from "./contract/registry.ts";
import { type Clock, systemClock } from "./core/clock.ts";
import { createIdGenerator } from "./core/ids.ts";
import type { Component } from "./core/lifecycle.ts";
import type { Logger } from "./core/logger.ts";
import { createDomains } from "./domains.ts";
import { edges, operations } from "./operations.ts";
import { createMetrics } from "./platform/telemetry/metrics.ts";
import type { Tracing } from "./platform/telemetry/tracing.ts";
import { type AdminKeyOptions, createAdminKey, ensureAdminKey } from "./services/tenancy/index.ts";
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

/** Opens the stores, builds everything on them, and answers the gateway, ready to be started. */
export async function createGateway(config: Config, logger: Logger, options: GatewayOptions = {}): Promise<Gateway> {
  const { clock = systemClock, tracing } = options;
  const ids = createIdGenerator(clock);
  const version = await readVersion();
  checkOperations(operations);
  const metrics = createMetrics({ logger, processMetrics: true });
  const stores = await openStores(config, clock, logger, tracing?.onQuery);
  try {
    const domains = await createDomains({ config, clock, ids, logger, metrics, tracing, stores, version });
    const madeAdminKey = await provideAdminKey(config, { database: stores.database, clock, ids });
    const transports = await createTransports({
      config,
      logger,
      ids,
      metrics,
      operations,
      edges,
      codec: createGrpcCodec(operations),
      services: domains.services,
      dispatcher: domains.dispatcher,
      authenticator: domains.authenticator,
      ready: () => isReady(stores),
    });
    return assemble({ ...domains, stores, transports, tracing, logger, madeAdminKey });
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

/** Changes nothing, and fails where the database takes no changes, e.g. on a standby. */
const WRITE_NOTHING = "UPDATE schema_migrations SET id = id WHERE false";

async function isReady({ reserved, redis }: Stores) {
  const checks: Record<string, string> = {};
  const check = async (name: string, ask: () => Promise<unknown>) => {
    checks[name] = await ask().then(
      () => "ok",
      () => "does not answer",
    );
  };
  await Promise.all([
    check("database", () => reserved.query(WRITE_NOTHING, [])),
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
  drain(): void;
  close(): Promise<void>;
}

const DRAIN_SHARE = 0.8;

function assemble({ background, transports, stores, tracing, logger, madeAdminKey, drain, close }: Parts): Gateway {
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
    const closing = transports.stop(deadlineMs * DRAIN_SHARE);
    drain();
    await quietly(logger, "transports", closing);
    for (const component of [...background].reverse()) await quietly(logger, component.name, component.stop(leftMs()));
    await quietly(logger, "domains", close());
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
