import { Redis } from "ioredis";
import { onlineKey, shardOf } from "../../src/services/features/online/online-key.ts";
import { entityText } from "../../src/services/features/values/entity-key.ts";
import type { Bench } from "../harness/bench.ts";
import { userOf } from "./feature-group.ts";

const ONE_ROW_OF = /^tarl:features:\{(\d+):/;

/** Bare ioredis on the keys that the gateway has written. */
export interface RedisRows {
  readonly driver: Redis;
  /** The key of an entity's row. */
  keyOf(entity: number): string;
}

/** The gateways of earlier cases have numbered their groups likewise: nothing of them may be left. */
export async function emptyRedis(bench: Bench): Promise<void> {
  const driver = new Redis(bench.redis.url);
  await driver.flushall();
  driver.disconnect();
}

/** For a Redis in which the rows of one group are. */
export async function openRedisRows(bench: Bench): Promise<RedisRows> {
  const driver = new Redis(bench.redis.url);
  bench.defer(async () => driver.disconnect());
  const datasetId = await findDataset(driver);
  return {
    driver,
    keyOf(entity) {
      const text = entityText([userOf(entity)]);
      return onlineKey(datasetId, shardOf(text), text);
    },
  };
}

async function findDataset(driver: Redis): Promise<number> {
  let cursor = "0";
  do {
    const [next, keys] = await driver.scan(cursor, "MATCH", "tarl:features:*");
    const datasetId = keys.map((key) => ONE_ROW_OF.exec(key)?.[1]).find((found) => found !== undefined);
    if (datasetId !== undefined) return Number(datasetId);
    cursor = next;
  } while (cursor !== "0");
  throw new Error("The gateway has not put a row into Redis.");
}
