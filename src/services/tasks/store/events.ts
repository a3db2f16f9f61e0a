import type { Queryable } from "../../../platform/postgres/database.ts";
import type { TaskState } from "../task-model.ts";

/** A place in the feed: events are read in the order of (xid, id, place). */
export interface EventCursor {
  /** A transaction id as decimal text. */
  readonly xid: string;
  readonly id: number;
  /** Which of the row's events, from 1; before the first it is 0. */
  readonly place: number;
}

export interface EventRow {
  readonly xid: string;
  readonly id: number;
  readonly place: number;
  readonly namespace: string;
  readonly task_id: string;
  readonly queue: string;
  readonly kind: string;
  readonly type: string;
  readonly state: TaskState;
  readonly attempt: number;
  readonly fence: number;
  readonly worker_id: string | null;
  readonly occurred_at: Date;
}

const CURRENT_CURSOR = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text AS xid";

/** The place before which every event has been readable; whatever happens from now on comes after it. */
export async function currentCursor(queryable: Queryable): Promise<EventCursor> {
  const { rows } = await queryable.query<{ xid: string }>(CURRENT_CURSOR);
  return { xid: rows[0]?.xid ?? "0", id: 0, place: 0 };
}

// Only below the oldest running transaction: what is above may still get earlier neighbours. The order
// names e.xid, because a bare xid would be the text that is answered, where 1000 comes before 999.
const READ_EVENTS = `
  SELECT e.xid::text, e.id, t.place, namespace, t.task_id, queue, kind, type, state, t.attempt, t.fence, worker_id, occurred_at
  FROM task_events e CROSS JOIN LATERAL unnest(e.task_ids, e.attempts, e.fences) WITH ORDINALITY AS t(task_id, attempt, fence, place)
  WHERE namespace = $1 AND (e.xid, e.id) >= ($2::text::xid8, $3::bigint) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
    AND (e.xid, e.id, t.place) > ($2::text::xid8, $3::bigint, $8::bigint)
    AND ($4::text IS NULL OR queue = $4) AND ($5::uuid IS NULL OR t.task_id = $5)
    AND (cardinality($6::text[]) = 0 OR type = ANY($6::text[]))
  ORDER BY e.xid, e.id, t.place LIMIT $7`;

export interface EventFilter {
  readonly namespace: string;
  readonly queue?: string | undefined;
  readonly taskId?: string | undefined;
  readonly types: readonly string[];
}

export async function readEvents(
  queryable: Queryable,
  filter: EventFilter,
  after: EventCursor,
  limit: number,
): Promise<EventRow[]> {
  const { rows } = await queryable.query<EventRow>(READ_EVENTS, [
    filter.namespace,
    after.xid,
    after.id,
    filter.queue ?? null,
    filter.taskId ?? null,
    filter.types,
    limit,
    after.place,
  ]);
  return rows;
}

// A place that no transaction has reached yet was given out by a database that is no more.
const IS_NO_PLACE = `
  SELECT 1 FROM task_event_horizon WHERE (xid, id, place) > ($1::text::xid8, $2::bigint, $3::integer)
  UNION ALL SELECT 1 WHERE $1::text::xid8 > pg_snapshot_xmax(pg_current_snapshot())`;

/** Whether events after `cursor` have been deleted for their age, or lost when an older database was restored. */
export async function hasMissedEvents(queryable: Queryable, cursor: EventCursor): Promise<boolean> {
  const { rowCount } = await queryable.query(IS_NO_PLACE, [cursor.xid, cursor.id, cursor.place]);
  return rowCount > 0;
}
