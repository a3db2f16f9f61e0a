import { hashText } from "../../../platform/redis/hash-text.ts";

const KEY_PREFIX = "tarl:features:";

/** A dataset is spread over this many slots, so that a cluster's nodes share it. Changing it forgets all rows. */
export const SHARD_COUNT = 64;

/** Which of them an entity is in. */
export function shardOf(entity: string): number {
  const hash = hashText(entity);
  // Its low bits depend only on the low bits of each character, the high ones on everything.
  return (hash ^ (hash >>> 16)) & (SHARD_COUNT - 1);
}

/** The key of an entity. Redis takes the first braces as the hash tag, so those in the entity do not matter. */
export function onlineKey(datasetId: number, shard: number, entity: string): string {
  return `${KEY_PREFIX}{${datasetId}:${shard}}:${entity}`;
}

/** What SCAN looks for to find all keys of a dataset. */
export function onlineKeyPattern(datasetId: number): string {
  return `${KEY_PREFIX}{${datasetId}:*`;
}

/** The part that all keys in one slot begin with. */
export function slotOf(key: string): string {
  return key.slice(0, key.indexOf("}"));
}
