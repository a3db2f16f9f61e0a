import { createHash } from "node:crypto";
import type { Database } from "../../../platform/postgres/database.ts";
import { readOrder } from "../values/packed-row.ts";
import { countEntities, splitByRead } from "./online-reads.ts";
import type { OnlineRow, OnlineStore } from "./online-store.ts";

const STEP_ROWS = 1_000;
const STEP_BYTES = 4 * 1024 * 1024;
/** An index entry of Postgres must stay below 2,704 bytes. */
const MAX_KEY_BYTES = 2_000;
const HASHED = "#";

// In the order of their keys, so that two batches never wait for each other, and of one entity's rows
// only the winner, because an INSERT cannot touch a row twice. A row that may be forgotten counts as
// gone already, as it would be in Redis.
const PUT = `
  INSERT INTO feature_online AS known (dataset_id, entity, event_time, created_at, sequence, forget_at, packed)
  SELECT DISTINCT ON (item.entity COLLATE "C")
         $1, item.entity, item.event_time, item.created_at, item.sequence, to_timestamp(item.forget_at_ms / 1000),
         item.packed
    FROM unnest($2::text[], $3::int8[], $4::int8[], $5::int8[], $6::float8[], $7::bytea[])
      AS item(entity, event_time, created_at, sequence, forget_at_ms, packed)
   WHERE item.forget_at_ms IS NULL OR to_timestamp(item.forget_at_ms / 1000) > now()
   ORDER BY item.entity COLLATE "C", item.event_time DESC, item.created_at DESC, item.sequence DESC
  ON CONFLICT (dataset_id, entity) DO UPDATE
     SET event_time = excluded.event_time, created_at = excluded.created_at, sequence = excluded.sequence,
         forget_at = excluded.forget_at, packed = excluded.packed
   WHERE (known.event_time, known.created_at, known.sequence)
       < (excluded.event_time, excluded.created_at, excluded.sequence)
      OR known.forget_at <= now()`;

const GET = `
  SELECT item.place::int4 AS place, known.packed
    FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS item(dataset_id, entity, place)
    JOIN feature_online AS known ON known.dataset_id = item.dataset_id AND known.entity = item.entity
   WHERE known.forget_at IS NULL OR known.forget_at > now()`;

// Goes on after the last entity, because every step would pass by what the ones before it have left dead.
const CLEAR = `
  WITH step AS (
    SELECT entity
      FROM feature_online
     WHERE dataset_id = $1 AND entity > $2
     ORDER BY entity
     LIMIT $3
       FOR UPDATE
  ), gone AS (
    DELETE FROM feature_online AS known
     USING step
     WHERE known.dataset_id = $1 AND known.entity = step.entity
  )
  SELECT max(entity) AS last FROM step`;

// What is locked is being written anew.
const PURGE = `
  DELETE FROM feature_online AS known
   USING (
     SELECT dataset_id, entity
       FROM feature_online
      WHERE forget_at <= now()
      ORDER BY forget_at
      LIMIT $1
        FOR UPDATE SKIP LOCKED
   ) AS past
   WHERE known.dataset_id = past.dataset_id AND known.entity = past.entity`;

/** Features in Postgres: one packed row in the table feature_online for each entity. */
export function createPostgresOnlineStore(database: Database): OnlineStore {
  return {
    async put(datasetId, rows) {
      for (const step of inSteps(rows)) await database.query(PUT, [datasetId, ...columnsOf(step)]);
    },
    async get(reads) {
      const found = new Array<Buffer | undefined>(countEntities(reads)).fill(undefined);
      if (found.length === 0) return splitByRead(reads, found);
      const { rows } = await database.query<{ place: number; packed: Buffer }>(GET, [
        reads.flatMap(({ datasetId, entities }) => entities.map(() => datasetId)),
        reads.flatMap(({ entities }) => entities.map(keyOf)),
      ]);
      for (const { place, packed } of rows) found[place - 1] = packed;
      return splitByRead(reads, found);
    },
    async clear(datasetId) {
      let last: string | null = "";
      while (last !== null) {
        const { rows }: { rows: { last: string | null }[] } = await database.query(CLEAR, [datasetId, last, STEP_ROWS]);
        last = rows[0]!.last;
      }
    },
  };
}

/** Removes up to `limit` rows, of all datasets, whose time to be forgotten has passed. Answers how many there were. */
export async function purgeForgotten(database: Database, limit: number): Promise<number> {
  return (await database.query(PURGE, [limit])).rowCount;
}

/** The text that stands for an entity in the index: itself, or its digest where it is too long for one. */
function keyOf(entity: string): string {
  // Entity texts are JSON arrays; one that looked like a digest must still not pass for another's.
  if (Buffer.byteLength(entity) <= MAX_KEY_BYTES && !entity.startsWith(HASHED)) return entity;
  return HASHED + createHash("sha256").update(entity).digest("hex");
}

function* inSteps(rows: readonly OnlineRow[]): Generator<OnlineRow[]> {
  let step: OnlineRow[] = [];
  let sizeBytes = 0;
  for (const item of rows) {
    if (step.length === STEP_ROWS || (step.length > 0 && sizeBytes + item.row.length > STEP_BYTES)) {
      yield step;
      step = [];
      sizeBytes = 0;
    }
    step.push(item);
    sizeBytes += item.row.length;
  }
  if (step.length > 0) yield step;
}

function columnsOf(rows: readonly OnlineRow[]): unknown[][] {
  const orders = rows.map(({ row }) => readOrder(row));
  return [
    rows.map(({ entity }) => keyOf(entity)),
    orders.map(({ eventTime }) => eventTime),
    orders.map(({ createdAt }) => createdAt),
    orders.map(({ sequence }) => sequence),
    rows.map(({ forgetAtMs }) => forgetAtMs ?? null),
    rows.map(({ row }) => row),
  ];
}
