import type { Queryable } from "../../../platform/postgres/database.ts";
import { TASK_STATES, type TaskState } from "../task-model.ts";
import { changeOf, RECORD_CHANGES } from "./changes.ts";
import type { QueueCount } from "./maintain.ts";
import { type TaskRow, taskColumns } from "./task-row.ts";

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

export interface TaskFilter {
  readonly queue?: string | undefined;
  readonly kind?: string | undefined;
  readonly createdAfter?: string | undefined;
  readonly createdBefore?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly states?: readonly TaskState[] | undefined;
  readonly workerId?: string | undefined;
  readonly errorType?: string | undefined;
  readonly taskId?: string | undefined;
}

/** Collects conditions with their parameters; the text depends only on which filters are there. */
function conditions(namespace: string, filter: TaskFilter): { where: string[]; values: unknown[] } {
  const where = ["t.namespace = $1"];
  const values: unknown[] = [namespace];
  const add = (value: unknown, condition: (parameter: string) => string) => {
    if (value === undefined) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  add(filter.taskId, (p) => `t.id = ${p}::uuid`);
  add(filter.queue, (p) => `t.queue = ${p}`);
  add(filter.kind, (p) => `t.kind = ${p}`);
  add(filter.createdAfter, (p) => `t.created_at >= ${p}::timestamptz`);
  add(filter.createdBefore, (p) => `t.created_at < ${p}::timestamptz`);
  add(filter.workerId, (p) => `t.worker_id = ${p}`);
  // A single state is written into the text, because a partial index serves only what the planner can prove.
  const [state, ...more] = filter.states ?? [];
  if (state !== undefined && more.length === 0) where.push(`t.state = '${TASK_STATES[TASK_STATES.indexOf(state)]}'`);
  else add(state === undefined ? undefined : filter.states, (p) => `t.state::text = ANY(${p}::text[])`);
  add(filter.errorType, (p) => `t.failures->-1->>'type' = ${p}`);
  // The partial index on labels is used only where its condition is repeated.
  if (Object.keys(filter.labels).length > 0) {
    add(JSON.stringify(filter.labels), (p) => `t.labels @> ${p}::jsonb AND t.labels <> '{}'::jsonb`);
  }
  return { where, values };
}

/** A page of tasks, newest first, beginning after the task with id `after`. */
export async function listTasks(
  queryable: Queryable,
  namespace: string,
  filter: TaskFilter,
  page: { readonly after: string | undefined; readonly size: number },
): Promise<TaskRow[]> {
  const { where, values } = conditions(namespace, filter);
  if (page.after !== undefined) {
    values.push(page.after);
    where.push(`t.id < $${values.length}::uuid`);
  }
  values.push(page.size);
  const { rows } = await queryable.query<TaskRow>(
    `SELECT ${taskColumns("t")} FROM tasks t WHERE ${where.join(" AND ")} ORDER BY t.id DESC LIMIT $${values.length}`,
    values,
  );
  return rows;
}

const LIST_OF_QUEUES = `
  SELECT c.* FROM unnest($2::text[]) AS q(name) CROSS JOIN LATERAL (
    SELECT ${taskColumns("t")} FROM tasks t
    WHERE t.namespace = $1 AND t.queue = q.name AND (cardinality($3::text[]) = 0 OR t.state::text = ANY($3::text[]))
    ORDER BY t.id DESC LIMIT $4
  ) c`;

/** The newest tasks of each queue, at most `limit` of each. */
export async function listTasksOfQueues(
  queryable: Queryable,
  namespace: string,
  queues: readonly string[],
  states: readonly TaskState[],
  limit: number,
): Promise<TaskRow[]> {
  const { rows } = await queryable.query<TaskRow>(LIST_OF_QUEUES, [namespace, queues, states, limit]);
  return rows;
}

// It walks the leased tasks of all namespaces: an index for this rare question would cost every claim.
const HELD_BY_WORKERS = `
  SELECT ${taskColumns("t")} FROM tasks t
  WHERE t.namespace = $1 AND t.worker_id = ANY($2::text[]) AND t.state = 'LEASED' ORDER BY t.leased_at, t.id LIMIT $3`;

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

export type DeadLetterFilter = Omit<TaskFilter, "states" | "workerId">;

function selectDeadLetters(
  namespace: string,
  filter: DeadLetterFilter,
  limit: number,
): { text: string; values: unknown[] } {
  const { where, values } = conditions(namespace, filter);
  values.push(limit);
  return {
    text: `SELECT t.namespace, t.id FROM tasks t WHERE ${where.join(" AND ")} AND t.state = 'DEAD_LETTERED'
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
        order_at = now() + (t.order_at - t.run_at)
      WHERE t.namespace = $1 AND t.id = ANY(ARRAY(SELECT id FROM chosen)) RETURNING t.*
    ),
    changes AS (
      SELECT ${changeOf("t")}, 'DEAD_LETTERED'::task_state AS old_state, t.state AS new_state, 0 AS size_delta,
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
