import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
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

const FIRST_START = fileURLToPath(new URL("../../scripts/first-start.ts", import.meta.url));

/** Starts one Postgres and one Redis for the whole run, unless the environment names some. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const databaseUrl = process.env.TARL_TEST_DATABASE_URL;
  const redisUrl = process.env.TARL_TEST_REDIS_URL;
  const [postgres, redis] = await Promise.all([
    databaseUrl ? undefined : startPostgres(),
    redisUrl ? undefined : startRedis(),
    renewTemplate(),
  ]);
  project.provide("postgresUrl", databaseUrl || postgres!.url);
  project.provide("redisUrl", redisUrl || redis!.url);
  return async () => {
    await Promise.all([postgres?.stop(), redis?.stop()]);
  };
}

/** Gateways that tests start copy the embedded database's template. Without one they start slower and nothing else. */
async function renewTemplate(): Promise<void> {
  await promisify(execFile)(process.execPath, [FIRST_START, "--template"]).catch(() => {});
}
