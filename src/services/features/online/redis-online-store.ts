import type { RedisClient } from "../../../platform/redis/redis-client.ts";
import { loadScript } from "../../../platform/redis/script.ts";
import { gatherReads } from "./gather-reads.ts";
import { onlineKey, onlineKeyPattern, SHARD_COUNT, shardOf, slotOf } from "./online-key.ts";
import { countEntities, splitByRead } from "./online-reads.ts";
import type { OnlineRead, OnlineRow, OnlineStore } from "./online-store.ts";

/** Redis serves nobody else while it runs a command, so none is bigger than this. */
const MAX_COMMAND_KEYS = 1_000;
const MAX_COMMAND_BYTES = 1024 * 1024;
/** So many commands are under way at once; with more, the last would wait longer than a command may take. */
const COMMANDS_AT_ONCE = 16;

/** Features in Redis: one packed row under one key for each entity. */
export function createRedisOnlineStore(redis: RedisClient): OnlineStore {
  const put = loadScript(new URL("./scripts/put.lua", import.meta.url));
  const { isCluster } = redis.driver;

  const forget = (keys: string[]) => redis.use((driver) => driver.unlink(keys));

  const load = async (reads: readonly OnlineRead[]) => {
    const found = new Array<Buffer | undefined>(countEntities(reads)).fill(undefined);
    await inTurns(getCommands(reads, isCluster), async ({ keys, places }) => {
      const rows = await redis.use((driver) => driver.mgetBuffer(keys));
      for (const [index, row] of rows.entries()) found[places[index]!] = row ?? undefined;
    });
    return splitByRead(reads, found);
  };
  const get = gatherReads(load, MAX_COMMAND_KEYS);

  return {
    async put(datasetId, rows) {
      await inTurns(putCommands(datasetId, rows, isCluster), async ({ keys, rows, sizeBytes }) => {
        await redis.run(put, keys, [encodeRows(rows, sizeBytes)]);
      });
    },
    get: (reads) => get(reads),
    async clear(datasetId) {
      const { driver } = redis;
      const masters = "nodes" in driver ? driver.nodes("master") : [driver];
      for (const master of masters) {
        let cursor = "0";
        do {
          const [next, keys] = await redis.use(() =>
            master.scan(cursor, "MATCH", onlineKeyPattern(datasetId), "COUNT", MAX_COMMAND_KEYS),
          );
          const slots = isCluster ? [...Map.groupBy(keys, slotOf).values()] : [keys];
          await inTurns(
            slots.filter((slot) => slot.length > 0),
            forget,
          );
          cursor = next;
        } while (cursor !== "0");
      }
    },
  };
}

interface PutCommand {
  readonly keys: string[];
  readonly rows: OnlineRow[];
  sizeBytes: number;
}

/** Before each row stand its length (32 bits) and when it may be forgotten (a double, 0 for never). */
const ROW_HEAD_BYTES = 12;

/** Distributes rows over commands of bounded size, in a cluster one slot each. */
function putCommands(datasetId: number, rows: readonly OnlineRow[], isCluster: boolean): PutCommand[] {
  const commands: PutCommand[] = [];
  const open: (PutCommand | undefined)[] = [];
  for (const item of rows) {
    const { entity } = item;
    const sizeBytes = ROW_HEAD_BYTES + item.row.length;
    const shard = shardOf(entity);
    const slot = isCluster ? shard : 0;
    let command = open[slot];
    if (
      command === undefined ||
      command.keys.length === MAX_COMMAND_KEYS ||
      command.sizeBytes + sizeBytes > MAX_COMMAND_BYTES
    ) {
      command = { keys: [], rows: [], sizeBytes: 0 };
      open[slot] = command;
      commands.push(command);
    }
    command.keys.push(onlineKey(datasetId, shard, entity));
    command.rows.push(item);
    command.sizeBytes += sizeBytes;
  }
  return commands;
}

/** The rows of one command as the script reads them (put.lua). */
function encodeRows(rows: readonly OnlineRow[], sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes);
  let offset = 0;
  for (const { row, forgetAtMs } of rows) {
    offset = bytes.writeUInt32LE(row.length, offset);
    offset = bytes.writeDoubleLE(forgetAtMs === undefined ? 0 : Math.max(1, Math.ceil(forgetAtMs)), offset);
    offset += row.copy(bytes, offset);
  }
  return bytes;
}

interface GetCommand {
  readonly keys: string[];
  /** Where each key's row belongs among all that are asked for. */
  readonly places: number[];
}

/** Distributes entities over commands of bounded size, in a cluster one slot each. */
function getCommands(reads: readonly OnlineRead[], isCluster: boolean): GetCommand[] {
  const commands: GetCommand[] = [];
  const open: (GetCommand | undefined)[] = [];
  let place = 0;
  for (const [index, { datasetId, entities }] of reads.entries()) {
    for (const entity of entities) {
      const shard = shardOf(entity);
      const slot = isCluster ? index * SHARD_COUNT + shard : 0;
      let command = open[slot];
      if (command === undefined || command.keys.length === MAX_COMMAND_KEYS) {
        command = { keys: [], places: [] };
        open[slot] = command;
        commands.push(command);
      }
      command.keys.push(onlineKey(datasetId, shard, entity));
      command.places.push(place++);
    }
  }
  return commands;
}

/** Works on all items, on a bounded number of them at once. */
async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const [first] = items;
  if (first !== undefined && items.length === 1) return void (await work(first));
  for (let start = 0; start < items.length; start += COMMANDS_AT_ONCE) {
    await Promise.all(items.slice(start, start + COMMANDS_AT_ONCE).map(work));
  }
}
