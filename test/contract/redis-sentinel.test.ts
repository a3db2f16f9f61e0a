import { Redis } from "ioredis";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createRedis, type RedisClient } from "../../src/platform/redis/redis-client.ts";
import { createRedisPubSub } from "../../src/platform/redis/redis-pubsub.ts";
import { createRedisLeaseStore } from "../../src/services/leases/index.ts";
import { eventually } from "../support/eventually.ts";
import { type RedisSentinelGroup, startRedisSentinels } from "../support/redis-sentinel.ts";

const LONG_MS = 60_000;
const FAILOVER_WITHIN_MS = 20_000;
const SPACE = "tasks";

let group: RedisSentinelGroup;
let opened: { close(): Promise<void> }[];

beforeEach(async () => {
  group = await startRedisSentinels();
  opened = [];
}, 60_000);
afterEach(async () => {
  for (const one of opened.reverse()) await one.close();
  await group.stop();
});

async function connect(): Promise<RedisClient> {
  const redis = await createRedis({ url: group.url, commandTimeoutMs: 500 });
  opened.push(redis);
  return redis;
}

async function openPubSub() {
  const pubsub = await createRedisPubSub({ redis: await connect(), url: group.url });
  opened.push(pubsub);
  return pubsub;
}

const lease = (fence: number) => [{ key: "k", fence, ttlMs: LONG_MS }];

test("leases, their fences and messages go on after the primary was killed, and after it came back", async () => {
  const redis = await connect();
  const store = createRedisLeaseStore(redis);
  const [here, there] = [await openPubSub(), await openPubSub()];
  const heard: string[] = [];
  await there.subscribe("news", (message) => heard.push(message));
  await store.grant(SPACE, "default", lease(5));
  expect(await redis.use((driver) => (driver as Redis).wait(1, LONG_MS))).toBe(1);

  await group.primary.kill();
  const deadlines = await eventually(
    "the replica has taken over",
    () => store.extend(SPACE, "default", lease(5)).catch(() => undefined),
    FAILOVER_WITHIN_MS,
  );
  expect(deadlines).toEqual([expect.any(Number)]);
  expect(await store.extend(SPACE, "default", lease(4))).toEqual([undefined]);
  await eventually("a message arrives", () => {
    here.publish("news", "found");
    return heard.includes("found");
  });

  await group.primary.restart();
  const returned = new Redis(group.primary.url);
  opened.push({ close: async () => returned.disconnect() });
  await eventually(
    "the old primary follows the new one",
    async () => /role:slave[\s\S]*master_link_status:up/.test(await returned.info("replication")),
    FAILOVER_WITHIN_MS,
  );
  await store.grant(SPACE, "default", lease(6));
  expect(await store.extend(SPACE, "default", lease(5))).toEqual([undefined]);
  expect(await store.extend(SPACE, "default", lease(6))).toEqual([expect.any(Number)]);
}, 60_000);
