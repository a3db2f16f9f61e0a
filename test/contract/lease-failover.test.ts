import { afterEach, beforeEach, expect, test } from "vitest";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createPgliteDatabase } from "../../src/platform/postgres/pglite-database.ts";
import { createRedis } from "../../src/platform/redis/redis-client.ts";
import {
  createFailoverLeaseStore,
  createPostgresLeaseStore,
  createRedisLeaseStore,
  type FailoverLeaseStore,
  leaseMigrations,
  type MergeableLeaseStore,
} from "../../src/services/leases/index.ts";
import { eventually } from "../support/eventually.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

const LONG_MS = 60_000;
const SPACE = "tasks";

let server: RedisServer;
let redisHalf: MergeableLeaseStore;
let postgresHalf: MergeableLeaseStore;
let store: FailoverLeaseStore;
let failedOver: boolean[];
let closeAll: () => Promise<void>;

beforeEach(async () => {
  // It keeps its data, so that what it knew before it died is there, out of date, when it comes back.
  server = await startRedis({ settings: { appendonly: "yes", appendfsync: "always" } });
  const redis = await createRedis({ url: server.url, commandTimeoutMs: 500 });
  const database = await createPgliteDatabase();
  await migrate(database, leaseMigrations);
  redisHalf = createRedisLeaseStore(redis);
  postgresHalf = createPostgresLeaseStore(database);
  failedOver = [];
  store = createFailoverLeaseStore({
    primary: redisHalf,
    secondary: postgresHalf,
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
const redisIsBack = () =>
  eventually("the primary is used again", async () => {
    await store.now();
    return failedOver.at(-1) === false;
  });
const redisIsLeft = () =>
  eventually("the circuit opens", async () => {
    await store.now();
    return failedOver.at(-1) === true;
  });

test("a lease moves over with its first heartbeat when Redis dies, and back when it returns", async () => {
  await store.grant(SPACE, "default", lease(5));
  await server.kill();
  await redisIsLeft();
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([undefined]);
  await store.grant(SPACE, "default", lease(5));
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([expect.any(Number)]);

  await server.restart();
  await redisIsBack();
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([expect.any(Number)]);
  expect(await redisHalf.deadlines(SPACE, "default", ["k"])).toEqual([expect.any(Number)]);
});

test("a copy that ran out in one half does not end a lease that lives in the other", async () => {
  await redisHalf.grant(SPACE, "default", lease(5, 0));
  await postgresHalf.grant(SPACE, "default", lease(5));
  expect(await store.expired(SPACE, 10)).toEqual([]);
  expect(await store.deadlines(SPACE, "default", ["k"])).toEqual(await postgresHalf.deadlines(SPACE, "default", ["k"]));

  await redisHalf.grant(SPACE, "default", lease(6));
  await postgresHalf.grant(SPACE, "default", lease(5, 0));
  expect(await store.expired(SPACE, 10)).toEqual([]);
  // The outdated copy is gone, so it cannot crowd out others.
  expect(await postgresHalf.expired(SPACE, 10)).toEqual([]);
});

test("a newer lease that ran out is found although an older one lives on in the other half", async () => {
  await redisHalf.grant(SPACE, "default", lease(5));
  await postgresHalf.grant(SPACE, "default", lease(6, 0));
  expect(await store.expired(SPACE, 10)).toEqual([{ partition: "default", key: "k", fence: 6 }]);
});

test("what ran out in both halves is found once, under its newest fence, and released in both", async () => {
  await redisHalf.grant(SPACE, "default", lease(5, 0));
  await postgresHalf.grant(SPACE, "default", lease(6, 0));
  expect(await store.expired(SPACE, 10)).toEqual([{ partition: "default", key: "k", fence: 6 }]);
  await store.release(SPACE, "default", [{ key: "k", fence: 6 }]);
  await store.release(SPACE, "default", [{ key: "k", fence: 5 }]);
  expect(await store.expired(SPACE, 10)).toEqual([]);
  expect(await store.deadlines(SPACE, "default", ["k"])).toEqual([undefined]);
});

test("with Redis dead, leases that run out are found in Postgres, and calls stay quick", async () => {
  await server.kill();
  await redisIsLeft();
  await store.grant(SPACE, "default", lease(1, 0));
  expect(await store.expired(SPACE, 10)).toEqual([{ partition: "default", key: "k", fence: 1 }]);
  const startedMs = performance.now();
  for (let call = 0; call < 20; call += 1) await store.extend(SPACE, "default", lease(1));
  // Twenty calls that each waited for a dead Redis would take ten seconds.
  expect(performance.now() - startedMs).toBeLessThan(5_000);
});

test("a mistake in a call is not a failure of Redis", async () => {
  await expect(store.grant(SPACE, "default", [{ key: "k", fence: 1, ttlMs: Number.NaN }])).rejects.toThrow();
  expect(failedOver).toEqual([]);
});
