import { mkdtempSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { eventually } from "./eventually.ts";
import { findRedisBinary, type RedisServer, startRedis } from "./redis-server.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

export interface RedisSentinelGroup {
  /** `redis+sentinel://host:port,host:port,host:port/main` */
  readonly url: string;
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  stop(): Promise<void>;
}

interface Sentinel {
  readonly port: number;
  readonly process: ServerProcess;
}

const MASTER_NAME = "main";
const SENTINEL_COUNT = 3;
const QUORUM = 2;
const DOWN_AFTER_MS = 500;
const FAILOVER_TIMEOUT_MS = 5_000;

/** Starts a primary, its replica, and three sentinels that know each other and fail over half a second after the primary is gone. */
export async function startRedisSentinels(): Promise<RedisSentinelGroup> {
  const folder = mkdtempSync(join(tmpdir(), "tarl-sentinel-"));
  const sentinels: Sentinel[] = [];
  const servers: RedisServer[] = [];
  const stop = async () => {
    await Promise.all([...sentinels.map(({ process }) => process.stop()), ...servers.map((server) => server.stop())]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    for (let index = 0; index < 2; index += 1) {
      servers.push(await startRedis({ settings: { "repl-diskless-sync-delay": "0" } }));
    }
    const [primary, replica] = servers as [RedisServer, RedisServer];
    await follow(replica, primary);
    for (let index = 0; index < SENTINEL_COUNT; index += 1) sentinels.push(await startSentinel(folder, primary.port));
    for (const { port } of sentinels) await eventually("the sentinels agree", () => isWhole(port), 20_000);
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return { url: `redis+sentinel://${hosts}/${MASTER_NAME}`, primary, replica, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function follow(replica: RedisServer, primary: RedisServer): Promise<void> {
  const client = new Redis(replica.url);
  try {
    await client.replicaof("127.0.0.1", primary.port);
    await eventually("the replica follows", async () =>
      (await client.info("replication")).includes("master_link_status:up"),
    );
  } finally {
    client.disconnect();
  }
}

async function startSentinel(folder: string, primaryPort: number): Promise<Sentinel> {
  const port = await freePort();
  // A sentinel writes what it learns into its own configuration file.
  const file = join(folder, `${port}.conf`);
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir "${folder}"`,
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${primaryPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER_NAME} ${FAILOVER_TIMEOUT_MS}`,
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const process = await startServer({
    command: await findRedisBinary(),
    args: [file, "--sentinel"],
    readyText: "+monitor master",
  });
  return { port, process };
}

async function isWhole(port: number): Promise<boolean> {
  const client = new Redis(port, "127.0.0.1");
  try {
    const known = String(await client.call("INFO", "sentinel"));
    return known.includes("status=ok") && known.includes(`slaves=1,sentinels=${SENTINEL_COUNT}`);
  } finally {
    client.disconnect();
  }
}
