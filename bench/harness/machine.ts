import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { cpus, loadavg, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import type { Bench } from "./bench.ts";
import { percentile } from "./figures.ts";

/** What the figures were measured on, a line each. */
export async function describeMachine({ cores, postgres, redis }: Bench): Promise<string[]> {
  const processors = cpus();
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  const { rows } = await client.query<{ server_version: string }>("SHOW server_version");
  await client.end();
  const connection = new Redis(redis.url);
  const redisVersion = /redis_version:(\S+)/.exec(await connection.info("server"))?.[1];
  connection.disconnect();
  return [
    `${processors.length} × ${processors[0]?.model.trim() || process.arch}, ${Math.round(totalmem() / 1024 ** 3)} GiB, Node ${process.version}, Postgres ${rows[0]?.server_version} (fsync and synchronous_commit on), Redis ${redisVersion}.`,
    `Writing 8 KiB to disk with fsync takes ${measureFsyncMs().toFixed(2)} ms; the load average before the first case was ${loadavg()[0]!.toFixed(1)}.`,
    cores
      ? `The gateway and the bare servers run on core ${cores.server}, the load generator on core ${cores.load}, Postgres and Redis wherever the kernel puts them.`
      : "Nothing is pinned to a core, because there is no second core or no taskset.",
    "Authentication and rate limits are on. Figures are medians, with the lowest and the highest round in parentheses.",
  ];
}

const FSYNC_COUNT = 100;

function measureFsyncMs(): number {
  const dir = mkdtempSync(join(tmpdir(), "tarl-fsync-"));
  const file = openSync(join(dir, "file"), "w");
  const block = Buffer.alloc(8192, 1);
  const times = Array.from({ length: FSYNC_COUNT }, () => {
    const startedMs = performance.now();
    writeSync(file, block, 0, block.length, 0);
    fsyncSync(file);
    return performance.now() - startedMs;
  });
  closeSync(file);
  rmSync(dir, { recursive: true });
  return percentile(times, 0.5);
}
