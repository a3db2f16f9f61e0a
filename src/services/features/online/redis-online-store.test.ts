import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type RedisServer, startRedis } from "../../../../test/support/redis.ts";
import { createRedis, type RedisClient } from "../../../platform/redis/redis-client.ts";
import { packRow } from "../values/packed-row.ts";
import { createRedisOnlineStore } from "./redis-online-store.ts";

let server: RedisServer;
let redis: RedisClient;

beforeAll(async () => {
  server = await startRedis();
  redis = await createRedis({ url: server.url });
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});
beforeEach(() => redis.driver.flushall());

/** How often the server has run each command since `work` began. */
async function commandsOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
  await redis.driver.call("CONFIG", "RESETSTAT");
  await work();
  const stats = await redis.driver.info("commandstats");
  return Object.fromEntries(
    [...stats.matchAll(/cmdstat_(\w+):calls=(\d+)/g)].map(([, name, calls]) => [name!, Number(calls)]),
  );
}

const rowsOf = (count: number, sizeBytes = 0) =>
  Array.from({ length: count }, (_, index) => ({
    entity: `["user-${index}"]`,
    row: packRow(1, [{ name: "f", type: "BYTES" }], [Buffer.alloc(sizeBytes)]),
  }));

test("many entities take few commands of bounded size, whichever shards and datasets they are in", async () => {
  const store = createRedisOnlineStore(redis);
  const rows = rowsOf(2_500);
  await store.put(1, rows.slice(0, 1));
  expect(await commandsOf(() => store.put(1, rows))).toMatchObject({ evalsha: 3, mset: 3 });

  const entities = rows.map(({ entity }) => entity);
  const reads = [1, 2].map((datasetId) => ({ datasetId, entities }));
  expect(await commandsOf(() => store.get(reads))).toMatchObject({ mget: 5 });
  expect(await commandsOf(() => store.get([{ datasetId: 1, entities: entities.slice(0, 100) }]))).toMatchObject({
    mget: 1,
  });

  expect((await commandsOf(() => store.clear(1))).unlink).toBeGreaterThan(1);
  expect(await redis.driver.dbsize()).toBe(0);
});

test("big rows are put in commands of few", async () => {
  const store = createRedisOnlineStore(redis);
  await store.put(1, rowsOf(1));
  expect(await commandsOf(() => store.put(1, rowsOf(40, 256 * 1024)))).toMatchObject({ evalsha: 14 });
});

test("a row that loses is not written again", async () => {
  const store = createRedisOnlineStore(redis);
  await store.put(1, rowsOf(10));
  const commands = await commandsOf(() => store.put(1, rowsOf(10)));
  expect(commands).toMatchObject({ getrange: 10 });
  expect(commands.set).toBeUndefined();
  expect(commands.mset).toBeUndefined();
});

test("the script is known to a Redis that was started again", async () => {
  const store = createRedisOnlineStore(redis);
  await store.put(1, rowsOf(1));
  await redis.driver.script("FLUSH");
  await store.put(1, rowsOf(5_000));
  expect(await redis.driver.dbsize()).toBe(5_000);
});

test("what is no row gives way to one", async () => {
  const store = createRedisOnlineStore(redis);
  const [item] = rowsOf(1);
  await store.put(1, [item!]);
  const [key] = await redis.driver.keys("*");
  await redis.driver.set(key!, "short");
  await store.put(1, [item!]);
  expect(await store.get([{ datasetId: 1, entities: [item!.entity] }])).toEqual([[item!.row]]);
});

test("a Redis that is away is told in the gateway's words", async () => {
  const stopped = await startRedis();
  const client = await createRedis({ url: stopped.url });
  await stopped.stop();
  const store = createRedisOnlineStore(client);
  const away = { code: "UNAVAILABLE", reason: "REDIS_UNAVAILABLE" };
  await expect(store.put(1, rowsOf(3_000))).rejects.toMatchObject(away);
  await expect(store.get([{ datasetId: 1, entities: ["a"] }])).rejects.toMatchObject(away);
  await expect(store.clear(1)).rejects.toMatchObject(away);
  await client.close();
});
