import type { Queryable } from "../../../platform/postgres/database.ts";
import type { TaskState } from "../task-model.ts";

/** A place in the feed: events are read in the order of (xid, id). */
export interface EventCursor {
  /** A transaction id as decimal text. */
  readonly xid: string;
  readonly id: number;
}

export interface EventRow {
  readonly xid: string;
  readonly id: number;
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
  return { xid: rows[0]?.xid ?? "0", id: 0 };
}

// Only below the oldest running transaction: what is above may still get earlier neighbours. The order
// names e.xid, because a bare xid would be the text that is answered, where 1000 comes before 999.
const READ_EVENTS = `
  SELECT e.xid::text, e.id, namespace, task_id, queue, kind, type, state, attempt, fence, worker_id, occurred_at FROM task_events e
  WHERE namespace = $1 AND (xid, id) > ($2::text::xid8, $3::bigint) AND xid < pg_snapshot_xmin(pg_current_snapshot())
    AND ($4::text IS NULL OR queue = $4) AND ($5::uuid IS NULL OR task_id = $5)
    AND (cardinality($6::text[]) = 0 OR type = ANY($6::text[]))
  ORDER BY e.xid, e.id LIMIT $7`;

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
  ]);
  return rows;
}

const IS_PAST_HORIZON = "SELECT 1 FROM task_event_horizon WHERE (xid, id) > ($1::text::xid8, $2::bigint)";

/** Whether events after `cursor` have been deleted for their age. */
export async function hasMissedEvents(queryable: Queryable, cursor: EventCursor): Promise<boolean> {
  const { rowCount } = await queryable.query(IS_PAST_HORIZON, [cursor.xid, cursor.id]);
  return rowCount > 0;
}
