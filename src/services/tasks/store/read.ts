import type { Queryable } from "../../../platform/postgres/database.ts";
import { changeOf, RECORD_CHANGES } from "./changes.ts";
import type { QueueCount } from "./maintain.ts";
import { conditions, type TaskFilter } from "./task-filter.ts";
import { progressBytes, type TaskRow, taskColumns } from "./task-row.ts";

const GET = `SELECT ${taskColumns("t")} FROM tasks t WHERE t.namespace = $1 AND t.id = $2`;

export async function getTask(queryable: Queryable, namespace: string, taskId: string): Promise<TaskRow | undefined> {
  const { rows } = await queryable.query<TaskRow>(GET, [namespace, taskId]);
  return rows[0];
}

const GET_MANY = `
  SELECT ${taskColumns("t")} FROM tasks t WHERE t.namespace = $1 AND t.id = ANY($2::uuid[])`;

export async function getTasks(
  queryable: Queryable,
  namespace: string,
  taskIds: readonly string[],
): Promise<TaskRow[]> {
  const { rows } = await queryable.query<TaskRow>(GET_MANY, [namespace, taskIds]);
  return rows;
}

const HELD_BY_WORKERS = `
  SELECT ${taskColumns("t")} FROM tasks t
  WHERE t.namespace = $1 AND t.worker_id = ANY($2::text[]) AND t.state = 'LEASED'
    AND t.id = ANY(ARRAY(SELECT unnest(task_ids) FROM lease_checks WHERE namespace = $1 AND worker_id = ANY($2::text[])))
  ORDER BY t.leased_at, t.id LIMIT $3`;

/** The tasks that the workers hold, oldest lease first. */
export async function listHeldTasks(
  queryable: Queryable,
  namespace: string,
  workerIds: readonly string[],
  limit: number,
) {
  const { rows } = await queryable.query<TaskRow>(HELD_BY_WORKERS, [namespace, workerIds, limit]);
  return rows;
}

const SET_PROGRESS = `
  UPDATE tasks SET progress = $4::json WHERE namespace = $1 AND id = $2 AND fence = $3 AND state = 'LEASED'`;

/** Keeps what a heartbeat told; false where the fence does not hold the task. */
export async function setProgress(
  queryable: Queryable,
  namespace: string,
  taskId: string,
  fence: number,
  progress: object,
) {
  const { rowCount } = await queryable.query(SET_PROGRESS, [namespace, taskId, fence, JSON.stringify(progress)]);
  return rowCount > 0;
}

const RAISE_LEASE = `
  UPDATE tasks SET lease_ms = $4::bigint
  WHERE namespace = $1 AND id = $2 AND fence = $3 AND state = 'LEASED' AND lease_ms < $4::bigint`;

/** Keeps the longest time that a lease was promised at once, where the fence holds the task. */
export async function raiseLease(
  queryable: Queryable,
  namespace: string,
  taskId: string,
  fence: number,
  leaseMs: number,
) {
  await queryable.query(RAISE_LEASE, [namespace, taskId, fence, leaseMs]);
}

export type DeadLetterFilter = Omit<TaskFilter, "states" | "workerId">;

function selectDeadLetters(
  namespace: string,
  filter: DeadLetterFilter,
  limit: number,
): { text: string; values: unknown[] } {
  const { where, values } = conditions(namespace, filter);
  values.push(limit);
  return {
    text: `SELECT t.namespace, t.id, ${progressBytes("t")} AS progress_bytes FROM tasks t WHERE ${where.join(" AND ")} AND t.is_dead
      ORDER BY t.id LIMIT $${values.length} FOR UPDATE`,
    values,
  };
}

/** Sends up to `limit` dead letters back with all their attempts before them, oldest first; answers the queues with counts. */
export async function redriveDeadLetters(
  queryable: Queryable,
  namespace: string,
  filter: DeadLetterFilter,
  limit: number,
) {
  const chosen = selectDeadLetters(namespace, filter, limit);
  const { rows } = await queryable.query<QueueCount>(
    `WITH chosen AS MATERIALIZED (${chosen.text}),
    redriven AS (
      UPDATE tasks t SET state = 'READY', attempt = 0, run_at = now(), finished_at = NULL, updated_at = now(),
        order_at = now() + (t.order_at - t.run_at), progress = NULL, size_bytes = t.size_bytes - c.progress_bytes
      FROM chosen c WHERE t.namespace = $1 AND t.id = ANY(ARRAY(SELECT id FROM chosen)) AND t.id = c.id
      RETURNING t.*, c.progress_bytes
    ),
    changes AS (
      SELECT ${changeOf("t")}, 'DEAD_LETTERED'::task_state AS old_state, t.state AS new_state, -t.progress_bytes AS size_delta,
        'REDRIVEN' AS event_type, false AS failed, false AS expired
      FROM redriven t
    ),
    ${RECORD_CHANGES}
    SELECT queue, count(*) AS count, bool_or(cardinality(required_capabilities) > 0) AS selective FROM redriven GROUP BY queue`,
    chosen.values,
  );
  return rows;
}

/** Deletes up to `limit` dead letters, oldest first; answers how many. */
export async function purgeDeadLetters(
  queryable: Queryable,
  namespace: string,
  filter: DeadLetterFilter,
  limit: number,
): Promise<number> {
  const chosen = selectDeadLetters(namespace, filter, limit);
  const { rows } = await queryable.query<{ count: number }>(
    `WITH chosen AS MATERIALIZED (${chosen.text}),
    purged AS (DELETE FROM tasks t WHERE t.namespace = $1 AND t.id = ANY(ARRAY(SELECT id FROM chosen)) RETURNING t.*),
    changes AS (
      SELECT ${changeOf("t")}, t.state AS old_state, NULL::task_state AS new_state, -t.size_bytes AS size_delta,
        NULL::text AS event_type, false AS failed, false AS expired
      FROM purged t
    ),
    ${RECORD_CHANGES}
    SELECT count(*) AS count FROM purged`,
    chosen.values,
  );
  return rows[0]?.count ?? 0;
}
