import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { type PostgresServer, startPostgres } from "../../test/support/postgres-server.ts";
import { type RedisServer, startRedis } from "../../test/support/redis-server.ts";
import { type Cores, chooseCores, pinThisProcess } from "./cores.ts";
import type { BenchOptions } from "./options.ts";
import type { Row } from "./row.ts";

/** What every case works with. */
export interface Bench {
  readonly options: BenchOptions;
  readonly cores: Cores | undefined;
  readonly postgres: PostgresServer;
  /** The gateway's Redis, which keeps nothing on disk. */
  readonly redis: RedisServer;
  /** An empty database on the Postgres; answers its URL. */
  createDatabase(): Promise<string>;
  /** An empty folder that is removed at the end. */
  createFolder(): string;
  /** Ends what the current case started, last first. */
  defer(end: () => Promise<unknown>): void;
  /** A line for who waits. */
  progress(text: string): void;
}

/** One thing that is measured; it may answer several rows. */
export interface Case {
  readonly name: string;
  /** A part of another case, for who works on that part. */
  readonly onlyWhenNamed?: boolean;
  run(bench: Bench): Promise<Row[]>;
}

/** Postgres as it comes: what the tests switch off for speed is on. */
const DURABLE_POSTGRES = { fsync: "on", full_page_writes: "on", synchronous_commit: "on", shared_buffers: "128MB" };

export interface OpenBench extends Bench {
  /** Runs a case and ends whatever it started. */
  run(one: Case): Promise<Row[]>;
  close(): Promise<void>;
}

/** Starts the stores, which the kernel may put on any core, and then moves this process to the load's core. */
export async function openBench(options: BenchOptions): Promise<OpenBench> {
  const cores = chooseCores();
  const postgres = await startPostgres({ settings: DURABLE_POSTGRES });
  const redis = await startRedis();
  if (cores) pinThisProcess(cores.load);
  let ends: (() => Promise<unknown>)[] = [];

  const bench: Bench = {
    options,
    cores,
    postgres,
    redis,
    async createDatabase() {
      const name = `bench_${randomBytes(6).toString("hex")}`;
      const client = new pg.Client({ connectionString: postgres.url });
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      return Object.assign(new URL(postgres.url), { pathname: `/${name}` }).href;
    },
    createFolder() {
      const folder = mkdtempSync(join(tmpdir(), "tarl-bench-"));
      bench.defer(() => rm(folder, { recursive: true, force: true }));
      return folder;
    },
    defer: (end) => void ends.push(end),
    progress: (text) => void process.stderr.write(`${text}\n`),
  };
  return {
    ...bench,
    async run(one) {
      try {
        return await one.run(bench);
      } finally {
        for (const end of ends.reverse()) await end();
        ends = [];
      }
    },
    async close() {
      await redis.stop();
      await postgres.stop();
    },
  };
}
