import { hashText } from "../../platform/redis/hash-text.ts";
import type { RedisClient } from "../../platform/redis/redis-client.ts";
import { loadScript } from "../../platform/redis/script.ts";
import type { KnownLease, LeaseGrant, LeaseName, LeaseStore } from "./lease-store.ts";

/** A space is spread over this many slots, so that a cluster's nodes share it. Changing it forgets all leases. */
const SHARD_COUNT = 16;
const SHARDS = Array.from({ length: SHARD_COUNT }, (_, shard) => shard);
const KEY_PREFIX = "tarl:leases";

/** Leases in Redis: a sorted set of deadlines and a hash of fences for each space and shard. */
export function createRedisLeaseStore(redis: RedisClient): LeaseStore {
  const grant = loadScript(new URL("./scripts/grant.lua", import.meta.url));
  const adopt = loadScript(new URL("./scripts/adopt.lua", import.meta.url));
  const retire = loadScript(new URL("./scripts/retire.lua", import.meta.url));
  const extend = loadScript(new URL("./scripts/extend.lua", import.meta.url));
  const release = loadScript(new URL("./scripts/release.lua", import.meta.url));
  const inspect = loadScript(new URL("./scripts/inspect.lua", import.meta.url));
  const expired = loadScript(new URL("./scripts/expired.lua", import.meta.url));

  const inspectKeys = async (space: string, partition: string, keys: readonly string[]) => {
    if (keys.length === 0) return [];
    const members = keys.map((key) => memberOf(partition, key));
    const known = (await redis.run(inspect, keysOf(space, shardOf(partition)), members)) as (string | null)[];
    return keys.map((_, index) => readKnown(known[2 * index], known[2 * index + 1]));
  };

  return {
    async grant(space, partition, leases) {
      if (leases.length === 0) return [];
      const deadlines = (await redis.run(grant, keysOf(space, shardOf(partition)), grantsOf(partition, leases))) as (
        | number
        | null
      )[];
      return deadlines.map((deadline) => deadline ?? undefined);
    },
    async extend(space, partition, leases) {
      if (leases.length === 0) return [];
      const deadlines = (await redis.run(extend, keysOf(space, shardOf(partition)), grantsOf(partition, leases))) as (
        | number
        | null
      )[];
      return deadlines.map((deadline) => deadline ?? undefined);
    },
    async adopt(space, partition, leases) {
      if (leases.length === 0) return [];
      const answer = await redis.run(adopt, keysOf(space, shardOf(partition)), grantsOf(partition, leases));
      const [nowMs, ...flat] = answer as number[];
      return leases.map((_, index) => {
        const [fence, deadlineMs] = [flat[2 * index]!, flat[2 * index + 1]!];
        return { fence, deadlineMs, remainingMs: deadlineMs - nowMs! };
      });
    },
    async retire(space, partition, leases) {
      if (leases.length === 0) return [];
      const retired = await redis.run(retire, keysOf(space, shardOf(partition)), namesOf(partition, leases));
      return (retired as number[]).map((one) => one === 1);
    },
    async release(space, partition, leases) {
      if (leases.length === 0) return;
      await redis.run(release, keysOf(space, shardOf(partition)), namesOf(partition, leases));
    },
    inspect: inspectKeys,
    async deadlines(space, partition, keys) {
      return (await inspectKeys(space, partition, keys)).map((known) => known?.deadlineMs);
    },
    async expired(space, limit) {
      const found = await Promise.all(SHARDS.map((shard) => redis.run(expired, keysOf(space, shard), [limit])));
      return found
        .flatMap((answer) => readExpired(answer as string[]))
        .sort((left, right) => left.deadlineMs - right.deadlineMs)
        .slice(0, limit)
        .map(({ partition, key, fence }) => ({ partition, key, fence }));
    },
    async now() {
      const [seconds, microseconds] = await redis.use((driver) => driver.time());
      return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
    },
    async forget(space) {
      await Promise.all(SHARDS.map((shard) => redis.use((driver) => driver.unlink(...keysOf(space, shard)))));
    },
  };
}

/** Both keys of a shard; the braces put them in one slot. */
function keysOf(space: string, shard: number): [deadlines: string, fences: string] {
  const tag = `${KEY_PREFIX}:{${encodeURIComponent(space)}:${shard}}`;
  return [`${tag}:deadlines`, `${tag}:fences`];
}

function shardOf(partition: string): number {
  return hashText(partition) % SHARD_COUNT;
}

/** Encoded, so that the first slash always ends the partition. */
function memberOf(partition: string, key: string): string {
  return `${encodeURIComponent(partition)}/${key}`;
}

function grantsOf(partition: string, leases: readonly LeaseGrant[]): (string | number)[] {
  return leases.flatMap(({ key, fence, ttlMs }) => [memberOf(partition, key), fence, ttlMs]);
}

function namesOf(partition: string, leases: readonly LeaseName[]): (string | number)[] {
  return leases.flatMap(({ key, fence }) => [memberOf(partition, key), fence]);
}

function readKnown(fence: string | null | undefined, deadline: string | null | undefined): KnownLease | undefined {
  return fence && deadline ? { fence: Number(fence), deadlineMs: Number(deadline) } : undefined;
}

function readExpired(flat: readonly string[]) {
  const leases: { partition: string; key: string; fence: number; deadlineMs: number }[] = [];
  for (let index = 0; index + 2 < flat.length; index += 3) {
    const member = flat[index]!;
    const slash = member.indexOf("/");
    leases.push({
      partition: decodeURIComponent(member.slice(0, slash)),
      key: member.slice(slash + 1),
      fence: Number(flat[index + 1]),
      deadlineMs: Number(flat[index + 2]),
    });
  }
  return leases;
}
