import type { Queryable } from "../../../platform/postgres/database.ts";
import { changeOf, RECORD_CHANGES } from "./changes.ts";

/** The tasks `t` that the CTE names; ids are unique also between namespaces. As a list, so that any plan finds them by the primary key. */
function idsIn(cte: string): string {
  return `t.namespace = ANY(ARRAY(SELECT DISTINCT namespace FROM ${cte})) AND t.id = ANY(ARRAY(SELECT id FROM ${cte}))`;
}

const PROMOTE_DUE = `
  WITH due AS MATERIALIZED (
    SELECT t.namespace, t.id FROM tasks t WHERE t.due_at <= now()
    ORDER BY t.due_at LIMIT $1 FOR UPDATE SKIP LOCKED
  ),
  promoted AS (
    UPDATE tasks t SET state = 'READY', updated_at = now() WHERE ${idsIn("due")}
    RETURNING t.*
  ),
  changes AS (
    SELECT ${changeOf("t")}, 'SCHEDULED'::task_state AS old_state, t.state AS new_state, 0 AS size_delta,
      'READY' AS event_type, false AS failed, false AS expired
    FROM promoted t
  ),
  ${RECORD_CHANGES}
  SELECT namespace, queue, count(*) AS count, bool_or(cardinality(required_capabilities) > 0) AS selective
  FROM promoted GROUP BY namespace, queue`;

const NEXT_DUE = `
  SELECT (extract(epoch FROM min(due_at) - now()) * 1000)::double precision AS due_in_ms FROM tasks WHERE due_at IS NOT NULL`;

/** How many tasks became ready in a queue. */
export interface QueueCount {
  readonly queue: string;
  readonly count: number;
  /** True where some of them require capabilities, so that not every worker will do. */
  readonly selective: boolean;
}

/** Makes up to `limit` scheduled tasks whose time has come ready, and says how many in which queues. */
export async function promoteDueTasks(queryable: Queryable, limit: number) {
  const { rows } = await queryable.query<QueueCount & { namespace: string }>(PROMOTE_DUE, [limit]);
  return rows;
}

/** Milliseconds until the next scheduled task is due; undefined where none is scheduled. */
export async function millisecondsToNextDue(queryable: Queryable): Promise<number | undefined> {
  const { rows } = await queryable.query<{ due_in_ms: number | null }>(NEXT_DUE);
  const dueInMs = rows[0]?.due_in_ms ?? undefined;
  return dueInMs === undefined ? undefined : Math.max(0, dueInMs);
}

const TASKS_AT_A_TIME = 2_000;

/** The rows of the CTE `rows`, in the order of `column`, up to so many tasks; at least one. */
export function upToSoManyTasks(rows: string, column: string): string {
  return `SELECT * FROM (
      SELECT r.*, sum(cardinality(r.task_ids)) OVER (ORDER BY r.${column}, r.id) - cardinality(r.task_ids) AS before FROM ${rows} r
    ) r WHERE r.before < ${TASKS_AT_A_TIME}`;
}

const DELETE_FINISHED = `
  WITH old AS MATERIALIZED (
    SELECT id, finished_at, namespace, task_ids FROM finished_tasks WHERE finished_at < now() - $1::bigint * interval '1 millisecond'
    ORDER BY finished_at LIMIT $2 FOR UPDATE SKIP LOCKED
  ),
  gone AS MATERIALIZED (${upToSoManyTasks("old", "finished_at")}),
  forgotten AS (DELETE FROM finished_tasks WHERE id = ANY(ARRAY(SELECT id FROM gone))),
  deleted AS (
    DELETE FROM tasks t WHERE t.namespace = ANY(ARRAY(SELECT DISTINCT namespace FROM gone))
      AND t.id = ANY(ARRAY(SELECT unnest(task_ids) FROM gone)) RETURNING t.*
  ),
  changes AS (
    SELECT ${changeOf("t")}, t.state AS old_state, NULL::task_state AS new_state, -t.size_bytes AS size_delta,
      NULL::text AS event_type, false AS failed, false AS expired
    FROM deleted t
  ),
  ${RECORD_CHANGES}
  SELECT count(*) AS count FROM gone`;

/** Deletes some of the tasks, of up to `limit` statements, that were completed or cancelled longer than `ageMs` ago; 0 where none are left. */
export async function deleteFinishedTasks(queryable: Queryable, ageMs: number, limit: number): Promise<number> {
  const { rows } = await queryable.query<{ count: number }>(DELETE_FINISHED, [ageMs, limit]);
  return rows[0]?.count ?? 0;
}

const DELETE_EVENTS = `
  WITH gone AS (
    DELETE FROM task_events WHERE ctid = ANY(ARRAY(
      SELECT ctid FROM task_events WHERE occurred_at < now() - $1::bigint * interval '1 millisecond' LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING xid, id, cardinality(task_ids) AS place
  ),
  last AS (SELECT xid, id, place FROM gone ORDER BY xid DESC, id DESC LIMIT 1),
  remembered AS (
    INSERT INTO task_event_horizon AS h (only_row, xid, id, place) SELECT true, xid, id, place FROM last
    ON CONFLICT (only_row) DO UPDATE SET xid = excluded.xid, id = excluded.id, place = excluded.place
    WHERE (h.xid, h.id) < (excluded.xid, excluded.id)
  )
  SELECT count(*) AS count FROM gone`;

/** Deletes up to `limit` rows of events older than `ageMs`, remembers up to where, and answers how many. Watchers stand still while it runs. */
export async function deleteOldEvents(queryable: Queryable, ageMs: number, limit: number): Promise<number> {
  const { rows } = await queryable.query<{ count: number }>(DELETE_EVENTS, [ageMs, limit]);
  return rows[0]?.count ?? 0;
}

const SAMPLE_TOTALS = `
  INSERT INTO queue_samples (namespace, queue, sampled_at, enqueued_total, completed_total, failed_total)
  SELECT namespace, queue, to_timestamp(floor(extract(epoch FROM now()) * 1000 / $1::bigint) * $1::bigint / 1000),
    sum(enqueued_total), sum(completed_total), sum(failed_total + expired_total)
  FROM queue_counters GROUP BY namespace, queue ORDER BY namespace, queue ON CONFLICT DO NOTHING`;
const DELETE_SAMPLES = "DELETE FROM queue_samples WHERE sampled_at < now() - $1::bigint * interval '1 millisecond'";

/** Notes every queue's totals once in each interval, whichever gateway comes first, and forgets old notes. */
export async function sampleQueueTotals(queryable: Queryable, intervalMs: number, keptMs: number): Promise<void> {
  await queryable.query(SAMPLE_TOTALS, [intervalMs]);
  await queryable.query(DELETE_SAMPLES, [keptMs]);
}

const PURGE_TABLES = [
  "tasks",
  "lease_checks",
  "finished_tasks",
  "task_events",
  "queue_counters",
  "queue_samples",
  "queue_lanes",
  "queues",
  "workers",
] as const;

/** Deletes everything a namespace has in this domain. */
export async function purgeNamespace(queryable: Queryable, namespace: string): Promise<void> {
  for (const table of PURGE_TABLES) await queryable.query(`DELETE FROM ${table} WHERE namespace = $1`, [namespace]);
}

const COUNT_UNFINISHED = `
  SELECT coalesce(sum(scheduled + ready + leased), 0)::bigint AS unfinished, coalesce(sum(dead_lettered), 0)::bigint AS dead_lettered
  FROM queue_counters WHERE namespace = $1`;

/** Says in words what a namespace still has to do here; nothing where that is nothing. */
export async function holdsTasks(queryable: Queryable, namespace: string): Promise<readonly string[]> {
  const { rows } = await queryable.query<{ unfinished: number; dead_lettered: number }>(COUNT_UNFINISHED, [namespace]);
  const { unfinished = 0, dead_lettered = 0 } = rows[0] ?? {};
  return [
    ...(unfinished > 0 ? [`${unfinished} unfinished tasks`] : []),
    ...(dead_lettered > 0 ? [`${dead_lettered} dead letters`] : []),
  ];
}
