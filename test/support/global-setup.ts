import type { TestProject } from "vitest/node";
import { startPostgres } from "./postgres-server.ts";
import { startRedis } from "./redis-server.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** A Postgres for the whole run; take a database of your own with createTestDatabase. */
    postgresUrl: string;
    /** A Redis for the whole run; take a database of your own with createTestRedisUrl. */
    redisUrl: string;
  }
}

/** Starts one Postgres and one Redis for the whole run, unless the environment names some. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const databaseUrl = process.env.TARL_TEST_DATABASE_URL;
  const redisUrl = process.env.TARL_TEST_REDIS_URL;
  const [postgres, redis] = await Promise.all([
    databaseUrl ? undefined : startPostgres(),
    redisUrl ? undefined : startRedis(),
  ]);
  project.provide("postgresUrl", databaseUrl || postgres!.url);
  project.provide("redisUrl", redisUrl || redis!.url);
  return async () => {
    await Promise.all([postgres?.stop(), redis?.stop()]);
  };
}
