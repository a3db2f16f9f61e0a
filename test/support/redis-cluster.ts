import { Redis } from "ioredis";
import { eventually } from "./eventually.ts";
import { type RedisServer, startRedis } from "./redis-server.ts";
import { freePort } from "./server-process.ts";

export interface RedisCluster {
  /** `redis+cluster://host:port,host:port,host:port` */
  readonly url: string;
  readonly nodes: readonly RedisServer[];
  stop(): Promise<void>;
}

const NODE_COUNT = 3;
const SLOT_COUNT = 16_384;

/** Starts a cluster of three masters that share the slots. */
export async function startRedisCluster(): Promise<RedisCluster> {
  const buses = await Promise.all(Array.from({ length: NODE_COUNT }, freePort));
  const nodes = await Promise.all(
    buses.map((bus) =>
      startRedis({
        settings: {
          databases: "16",
          "cluster-enabled": "yes",
          "cluster-config-file": "nodes.conf",
          "cluster-node-timeout": "2000",
          "cluster-port": String(bus),
        },
      }),
    ),
  );
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    await join(nodes, buses);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `redis+cluster://${nodes.map((node) => `127.0.0.1:${node.port}`).join(",")}`, nodes, stop };
}

async function join(nodes: readonly RedisServer[], buses: readonly number[]): Promise<void> {
  const clients = nodes.map((node) => new Redis(node.url));
  try {
    for (const [index, client] of clients.entries()) {
      const first = Math.ceil((index * SLOT_COUNT) / NODE_COUNT);
      const last = Math.ceil(((index + 1) * SLOT_COUNT) / NODE_COUNT) - 1;
      await client.call("CLUSTER", "ADDSLOTSRANGE", first, last);
      await client.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1);
    }
    for (const [index, node] of nodes.entries()) {
      if (index > 0) await clients[0]!.call("CLUSTER", "MEET", "127.0.0.1", node.port, buses[index]!);
    }
    for (const client of clients) await eventually("the cluster is whole", () => isWhole(client), 20_000);
  } finally {
    for (const client of clients) client.disconnect();
  }
}

async function isWhole(client: Redis): Promise<boolean> {
  const info = String(await client.call("CLUSTER", "INFO"));
  return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${NODE_COUNT}`);
}
