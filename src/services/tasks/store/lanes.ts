import { AppError } from "../../../core/errors.ts";
import type { Database, Queryable } from "../../../platform/postgres/database.ts";

/** A claim looks into each lane that its worker can serve, so a queue does not have more than this. */
export const MAX_LANES = 256;

/** A lane of a queue: one set of required capabilities. */
export interface Lane {
  readonly lane: string;
  /** Each once, in order. */
  readonly capabilities: readonly string[];
}

/** The lane of tasks that require `capabilities`, in whatever order. No capability holds a space. */
export function laneOf(capabilities: readonly string[]): Lane {
  const sorted = [...new Set(capabilities)].sort();
  return { lane: sorted.join(" "), capabilities: sorted };
}

/**
 * The key that keeps a lane from going while tasks come into it: enqueues share it until they end,
 * and who deletes lanes, or counts them to add one, has it alone.
 */
export function lanesLock(namespace: string, queue: string): string {
  return `hashtextextended('tasks.lanes:' || ${namespace} || '/' || ${queue}, 0)`;
}

const LOCK = `SELECT pg_advisory_xact_lock(${lanesLock("$1::text", "$2::text")})`;

const MISSING = `
  SELECT lane FROM unnest($3::text[]) AS wanted(lane) WHERE NOT EXISTS (
    SELECT 1 FROM queue_lanes l WHERE l.namespace = $1 AND l.queue = $2 AND l.lane = wanted.lane
  )`;

/** Those of `lanes` that the queue does not have yet. The lane that requires nothing always may be there. */
export async function missingLanes(
  queryable: Queryable,
  namespace: string,
  queue: string,
  lanes: readonly Lane[],
): Promise<Lane[]> {
  const byName = new Map(lanes.filter(({ lane }) => lane !== "").map((lane) => [lane.lane, lane]));
  if (byName.size === 0) return [];
  const { rows } = await queryable.query<{ lane: string }>(MISSING, [namespace, queue, [...byName.keys()]]);
  return rows.map(({ lane }) => byName.get(lane)!);
}

const ADD = `
  INSERT INTO queue_lanes (namespace, queue, lane, capabilities)
  SELECT $1, $2, i.lane, i.capabilities FROM json_to_recordset($3::json) AS i(lane text, capabilities text[])
  ON CONFLICT DO NOTHING`;
const COUNT = "SELECT count(*) AS count FROM queue_lanes WHERE namespace = $1 AND queue = $2 AND lane <> ''";

/** Adds lanes that are missing, in a transaction; RESOURCE_EXHAUSTED where the queue would have too many. */
export async function addLanes(
  transaction: Queryable,
  namespace: string,
  queue: string,
  lanes: readonly Lane[],
): Promise<void> {
  if (lanes.length === 0) return;
  await transaction.query(LOCK, [namespace, queue]);
  await transaction.query(ADD, [namespace, queue, JSON.stringify(lanes)]);
  const { rows } = await transaction.query<{ count: number }>(COUNT, [namespace, queue]);
  if ((rows[0]?.count ?? 0) > MAX_LANES) throw tooManyLanes(namespace, queue);
}

function tooManyLanes(namespace: string, queue: string): AppError {
  const limit = `Unfinished tasks of one queue may have ${MAX_LANES} different sets of requiredCapabilities`;
  return new AppError(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_CAPABILITY_SETS",
    `${limit}, and queue "${queue}" would have more. Use capabilities for what workers differ in, put the rest into labels or the payload, or spread the tasks over several queues.`,
    {
      details: {
        fields: [{ field: "requiredCapabilities", message: `is one set too many: ${limit.toLowerCase()}` }],
        quota: { subject: `namespaces/${namespace}/queues/${queue}`, description: limit },
      },
    },
  );
}

const IS_EMPTY = `l.lane <> '' AND NOT EXISTS (
  SELECT 1 FROM tasks t WHERE t.namespace = l.namespace AND t.queue = l.queue AND t.open_lane = l.lane)`;
const FIND_EMPTY = `SELECT DISTINCT l.namespace, l.queue FROM queue_lanes l WHERE ${IS_EMPTY} LIMIT $1`;
const DELETE_EMPTY = `DELETE FROM queue_lanes l WHERE l.namespace = $1 AND l.queue = $2 AND ${IS_EMPTY}`;

/** Deletes the lanes, of up to `limit` queues, that hold nothing that may yet become ready; answers how many. */
export async function deleteEmptyLanes(database: Database, limit: number): Promise<number> {
  const { rows } = await database.query<{ namespace: string; queue: string }>(FIND_EMPTY, [limit]);
  let deleted = 0;
  for (const { namespace, queue } of rows) {
    deleted += await database.transaction(async (transaction) => {
      // Held before the look: the enqueues under way have ended then, and are seen.
      await transaction.query(LOCK, [namespace, queue]);
      return (await transaction.query(DELETE_EMPTY, [namespace, queue])).rowCount;
    });
  }
  return deleted;
}
