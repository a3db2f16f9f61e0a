import { Redis } from "ioredis";
import { inject } from "vitest";

export { findRedisBinary, type RedisServer, type RedisServerOptions, startRedis } from "./redis-server.ts";

const SMALLEST_DATABASE_COUNT = 16;

/**
 * The address of an empty database on the Redis of this test run, which no other test file uses at
 * the same time. FLUSHALL and channels reach all of them: start a private Redis for those.
 */
export async function createTestRedisUrl(): Promise<string> {
  const url = new URL(inject("redisUrl"));
  url.pathname = `/${Number(process.env.VITEST_POOL_ID ?? 0) % SMALLEST_DATABASE_COUNT}`;
  const redis = new Redis(url.href);
  await redis.flushdb();
  await redis.quit();
  return url.href;
}
