import { Cluster, Redis, type RedisOptions } from "ioredis";
import { mapRedisError } from "./redis-error.ts";
import { parseRedisUrl, type RedisAddress } from "./redis-url.ts";
import type { RedisScript } from "./script.ts";

export interface RedisClientOptions {
  /** See parseRedisUrl for its forms. */
  readonly url: string;
  /** How long a command may take before it counts as failed. */
  readonly commandTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
  readonly connectionName?: string;
  /** Hears of lost connections; the client makes new ones by itself. */
  readonly onError?: (error: Error) => void;
}

/** One Redis, group of sentinels or cluster. While it is away, everything fails at once with REDIS_UNAVAILABLE. */
export interface RedisClient {
  /** The driver itself, for libraries that want one. Its errors are not mapped. */
  readonly driver: Redis | Cluster;
  /** Runs a script. All keys of one call must share a hash tag. */
  run(script: RedisScript, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown>;
  /** Calls the driver and maps its errors. */
  use<T>(work: (driver: Redis | Cluster) => Promise<T>): Promise<T>;
  /** Resolves when Redis answers, else throws. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_COMMAND_TIMEOUT_MS = 1_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 2_000;
const FIRST_RECONNECT_MS = 50;
const LAST_RECONNECT_MS = 1_000;
const SLOTS_REFRESH_EVERY_MS = 5_000;
const MAX_REDIRECTIONS = 5;

/**
 * Connects to Redis. Waits for the first connection, but not longer than `connectTimeoutMs`, and
 * resolves either way: a gateway starts without its Redis and finds it later.
 */
export async function createRedis(options: RedisClientOptions): Promise<RedisClient> {
  const driver = createDriver(options, { queueWhileAway: false });
  await firstConnection(driver, options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS);

  const use = async <T>(work: (driver: Redis | Cluster) => Promise<T>): Promise<T> => {
    try {
      return await work(driver);
    } catch (error) {
      throw mapRedisError(error);
    }
  };
  return {
    driver,
    run: (script, keys, args) => use(() => script.run(driver, keys, args)),
    use,
    async ping() {
      await use(() => driver.ping());
    },
    async close() {
      driver.disconnect();
    },
  };
}

/**
 * Makes a driver. With `queueWhileAway`, commands wait for the connection, which is what a
 * subscriber needs to subscribe again; without, they fail at once.
 */
export function createDriver(options: RedisClientOptions, mode: { queueWhileAway: boolean }): Redis | Cluster {
  const address = parseRedisUrl(options.url);
  const shared = sharedOptions(address, options);
  const driver =
    address.kind === "cluster"
      ? createCluster(address, shared, mode.queueWhileAway)
      : createSingle(address, shared, mode.queueWhileAway);
  // Without a listener, the first refused connection would be written to the console.
  driver.on("error", (error: Error) => options.onError?.(error));
  return driver;
}

const reconnectAfterMs = (attempt: number) => Math.min(FIRST_RECONNECT_MS * attempt, LAST_RECONNECT_MS);

type SharedOptions = ReturnType<typeof sharedOptions>;

/** What every connection gets, to a single server as to a cluster's nodes. */
function sharedOptions(address: RedisAddress, options: RedisClientOptions) {
  return {
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.tls ? { tls: {} } : {}),
    connectTimeout: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    commandTimeout: options.commandTimeoutMs ?? DEFAULT_COMMAND_TIMEOUT_MS,
    connectionName: options.connectionName ?? "tarl-gateway",
    // A command that was under way when the connection broke has failed: sent again, it could run twice.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 1,
  } satisfies RedisOptions;
}

function createSingle(address: RedisAddress, shared: SharedOptions, queueWhileAway: boolean): Redis {
  const place: RedisOptions =
    address.kind === "sentinel"
      ? {
          sentinels: [...address.hosts],
          name: address.masterName!,
          enableTLSForSentinelMode: address.tls,
          ...(address.tls ? { sentinelTLS: {} } : {}),
        }
      : { ...address.hosts[0]! };
  const options: RedisOptions & { replyMapping: "legacy" } = {
    ...shared,
    ...place,
    replyMapping: "legacy",
    db: address.database,
    retryStrategy: reconnectAfterMs,
    sentinelRetryStrategy: reconnectAfterMs,
    enableOfflineQueue: queueWhileAway,
    maxRetriesPerRequest: queueWhileAway ? null : shared.maxRetriesPerRequest,
    // After a failover the old master is read-only: leave it and ask the sentinels again.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
  return new Redis(options);
}

function createCluster(address: RedisAddress, shared: SharedOptions, queueWhileAway: boolean): Cluster {
  return new Cluster([...address.hosts], {
    redisOptions: shared,
    enableOfflineQueue: queueWhileAway,
    clusterRetryStrategy: reconnectAfterMs,
    slotsRefreshInterval: SLOTS_REFRESH_EVERY_MS,
    maxRedirections: MAX_REDIRECTIONS,
  });
}

/** Waits until the driver is ready, but not longer than `timeoutMs`. */
export function firstConnection(driver: Redis | Cluster, timeoutMs: number): Promise<void> {
  if (driver.status === "ready") return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      driver.removeListener("ready", done);
      resolve();
    };
    const timer = setTimeout(done, timeoutMs);
    driver.once("ready", done);
  });
}
