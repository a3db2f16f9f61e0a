import { afterEach, beforeEach, expect, test } from "vitest";
import { AppError } from "../../src/core/errors.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createPgliteDatabase } from "../../src/platform/postgres/pglite-database.ts";
import { createRedis, type RedisClient } from "../../src/platform/redis/redis-client.ts";
import {
  createFailoverLeaseStore,
  createLeaseCharge,
  createPostgresLeaseStore,
  createRedisLeaseStore,
  type FailoverLeaseStore,
  leaseMigrations,
} from "../../src/services/leases/index.ts";
import { eventually } from "../support/eventually.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

const LONG_MS = 60_000;
const SPACE = "tasks";
const COMMAND_TIMEOUT_MS = 500;

let server: RedisServer;
let redis: RedisClient;
let store: FailoverLeaseStore;
let failedOver: boolean[];
let statements: number;
let isPostgresAway: boolean;
let closeAll: () => Promise<void>;

beforeEach(async () => {
  // It keeps its data, so that what it knew before it died is there, out of date, when it comes back.
  server = await startRedis({ settings: { appendonly: "yes", appendfsync: "always" } });
  redis = await createRedis({ url: server.url, commandTimeoutMs: COMMAND_TIMEOUT_MS });
  statements = 0;
  const database = await createPgliteDatabase({ onQuery: () => statements++ });
  await migrate(database, leaseMigrations);
  failedOver = [];
  isPostgresAway = false;
  const charge = createLeaseCharge(database, { quietMs: 100 });
  store = createFailoverLeaseStore({
    primary: createRedisLeaseStore(redis),
    secondary: createPostgresLeaseStore(database),
    charge: {
      ...charge,
      read: () => (isPostgresAway ? Promise.reject(new AppError("UNAVAILABLE", "AWAY", "Away.")) : charge.read()),
    },
    retryPrimaryAfterMs: 50,
    onFailover: (value) => failedOver.push(value),
  });
  closeAll = async () => {
    store.close();
    await redis.close();
    await database.close();
    await server.stop();
  };
});
afterEach(() => closeAll());

const lease = (fence: number, ttlMs = LONG_MS) => [{ key: "k", fence, ttlMs }];
const unless = (isBack: boolean) => async () => {
  await store.now();
  return failedOver.at(-1) === !isBack;
};
const redisIsBack = () => eventually("the primary is used again", unless(true));
const redisIsLeft = () => eventually("the primary is left", unless(false));

test("a lease moves over with its first heartbeat when Redis dies, and back when it returns", async () => {
  await store.grant(SPACE, "default", lease(5));
  await server.kill();
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([undefined]);
  await store.grant(SPACE, "default", lease(5));
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([expect.any(Number)]);

  await server.restart();
  await redisIsBack();
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([undefined]);
  await store.grant(SPACE, "default", lease(5));
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([expect.any(Number)]);
});

test("what Redis kept through an outage is not believed, and is cleared away", async () => {
  await store.grant(SPACE, "default", [...lease(5), { key: "past", fence: 1, ttlMs: 0 }]);
  await server.kill();
  await redisIsLeft();
  await store.release(SPACE, "default", [{ key: "k", fence: 5 }]);
  await server.restart();
  await redisIsBack();
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([undefined]);
  expect(await store.expired(SPACE, 10)).toEqual([]);
  await eventually("Redis is empty", async () => (await redis.use((driver) => driver.dbsize())) === 0);
});

test("with Redis dead, what is unknown gets its time and a little more, once, and then runs out", async () => {
  await store.grant(SPACE, "default", lease(5));
  await server.kill();
  const [adopted] = await store.adopt(SPACE, "default", lease(5, 0));
  expect(adopted).toMatchObject({ fence: 5 });
  expect(adopted!.remainingMs).toBeGreaterThan(1_000);
  await eventually("it runs out", async () => (await store.expired(SPACE, 10)).length > 0);
  expect(await store.adopt(SPACE, "default", lease(5))).toMatchObject([{ fence: 5, deadlineMs: adopted!.deadlineMs }]);
  expect(await store.retire(SPACE, "default", [{ key: "k", fence: 5 }])).toEqual([true]);
});

test("while Redis is well, calls about leases that live cost Postgres nothing", async () => {
  await store.grant(SPACE, "default", lease(5));
  await eventually("the charge is known", async () => {
    statements = 0;
    for (let call = 0; call < 20; call += 1) await store.extend(SPACE, "default", lease(5));
    // At most the look at the charge that each gateway takes every half second.
    return statements <= 1;
  });
});

test("a Redis that hangs is left with the first call that it does not answer, however many it answered before", async () => {
  for (let call = 0; call < 200; call += 1) await store.extend(SPACE, "default", lease(1));
  server.signal("SIGSTOP");
  const startedMs = performance.now();
  for (let call = 0; call < 20; call += 1) await store.extend(SPACE, "default", lease(1));
  server.signal("SIGCONT");
  expect(performance.now() - startedMs).toBeLessThan(2.5 * COMMAND_TIMEOUT_MS);
});

test("a Redis that only reads is left, and not trusted before it takes writes", async () => {
  await redis.use((driver) => driver.call("REPLICAOF", "127.0.0.1", "1"));
  await store.grant(SPACE, "default", lease(1));
  expect(failedOver).toEqual([true]);
  const refusals = async () => {
    // The driver connects anew after such a refusal.
    const info = await redis.use((driver) => driver.info("errorstats")).catch(() => undefined);
    return info === undefined ? undefined : Number(/errorstat_READONLY:count=(\d+)/.exec(String(info))?.[1] ?? 0);
  };
  const before = await eventually("it tells what it refused", refusals);
  await eventually("it is tried again, in vain", async () => {
    await store.now();
    return ((await refusals()) ?? 0) > before;
  });
  expect(failedOver).toEqual([true]);
  await eventually("it takes writes again", () =>
    redis.use((driver) => driver.call("REPLICAOF", "NO", "ONE")).catch(() => undefined),
  );
  await redisIsBack();
});

test("while Postgres is away, heartbeats of tasks go on, and those of names are refused within a second", async () => {
  for (const space of ["tasks", "leases"]) await store.grant(space, "default", lease(5));
  isPostgresAway = true;
  await eventually("a name's heartbeat is refused", () =>
    store.extend("leases", "default", lease(5)).then(
      () => false,
      (error) => error.code === "UNAVAILABLE",
    ),
  );
  expect(await store.extend("tasks", "default", lease(5))).toEqual([expect.any(Number)]);
  expect(failedOver).toEqual([]);
  isPostgresAway = false;
  expect(await store.extend("leases", "default", lease(5))).toEqual([expect.any(Number)]);
});

test("a mistake in a call is not a failure of Redis", async () => {
  await expect(store.grant(SPACE, "default", [{ key: "k", fence: 1, ttlMs: Number.NaN }])).rejects.toThrow();
  expect(failedOver).toEqual([]);
});
