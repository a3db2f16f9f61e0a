import type { Json } from "../../../core/json.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import { changeOf, RECORD_CHANGES } from "./changes.ts";
import { progressBytes, type TaskRow, taskColumns } from "./task-row.ts";

/** An attempt that did not end well, told by its worker or found out. */
export interface FailedAttempt {
  readonly namespace: string;
  readonly taskId: string;
  readonly fence: number;
  readonly type: string | undefined;
  readonly message: string;
  readonly details?: Json | undefined;
  readonly retryable: boolean;
  /** The wait before the next attempt in milliseconds; absent where the retry policy decides. */
  readonly delayMs: number | undefined;
  /** Uniform in [0, 1), for the policy's jitter. */
  readonly random: number;
  /** True where nobody told: the lease or the execution time ran out. */
  readonly expired: boolean;
}

const KEPT_FAILURES = 10;

// Locked in the order of the input and looked up by the primary key, as in complete.ts.
const END_ATTEMPTS = `
  WITH input AS MATERIALIZED (
    SELECT DISTINCT ON (i.namespace, i.id) * FROM json_to_recordset($1::json) AS i(
      namespace text, id uuid, fence bigint, type text, message text, details json, retryable boolean,
      "delayMs" double precision, random double precision, expired boolean)
    ORDER BY i.namespace, i.id, i.fence DESC
  ),
  held AS MATERIALIZED (
    SELECT t.namespace, t.id, i.expired, i.retryable AND t.attempt < t.max_attempts AS again, t.failures,
      CASE WHEN i.retryable AND t.attempt < t.max_attempts THEN 0 ELSE ${progressBytes("t")} END AS progress_bytes,
      (CASE WHEN jsonb_array_length(t.failures) >= ${KEPT_FAILURES} THEN t.failures - 0 ELSE t.failures END)
        || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('attempt', t.attempt, 'fence', t.fence, 'workerId', t.worker_id,
          'occurredAt', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'message', i.message, 'type', i.type))
          || CASE WHEN i.details IS NULL THEN '{}' ELSE jsonb_build_object('details', i.details::jsonb) END) AS new_failures,
      coalesce(i."delayMs", least(t.max_backoff_ms,
        least(t.max_backoff_ms, t.initial_backoff_ms * least(power(t.backoff_multiplier, t.attempt - 1), 1e15))
        * (1 + t.backoff_jitter * (2 * i.random - 1)))) AS delay_ms
    FROM input i CROSS JOIN LATERAL (
      SELECT * FROM tasks t WHERE t.namespace = i.namespace AND t.id = i.id AND t.fence = i.fence AND t.state::text = 'LEASED' FOR UPDATE
    ) t
  ),
  measured AS MATERIALIZED (
    SELECT h.*, h.progress_bytes + octet_length(h.new_failures::text) - octet_length(h.failures::text) AS size_delta FROM held h
  ),
  ended AS (
    UPDATE tasks t SET
      state = CASE WHEN NOT h.again THEN 'DEAD_LETTERED' WHEN h.delay_ms >= 1 THEN 'SCHEDULED' ELSE 'READY' END::task_state,
      run_at = CASE WHEN h.again AND h.delay_ms >= 1 THEN now() + h.delay_ms * interval '1 millisecond' ELSE t.run_at END,
      order_at = CASE WHEN h.again AND h.delay_ms >= 1 THEN t.order_at + (now() + h.delay_ms * interval '1 millisecond' - t.run_at) ELSE t.order_at END,
      finished_at = CASE WHEN h.again THEN NULL ELSE now() END,
      updated_at = now(),
      progress = CASE WHEN h.again THEN NULL ELSE t.progress END,
      failures = h.new_failures, size_bytes = t.size_bytes + h.size_delta
    FROM measured h
    WHERE t.namespace = ANY(ARRAY(SELECT DISTINCT namespace FROM measured)) AND t.id = ANY(ARRAY(SELECT id FROM measured))
      AND t.namespace = h.namespace AND t.id = h.id
    RETURNING t.*, h.expired, h.size_delta
  ),
  changes AS (
    SELECT ${changeOf("t")}, 'LEASED'::task_state AS old_state, t.state AS new_state, t.size_delta,
      CASE WHEN t.state = 'DEAD_LETTERED' THEN 'DEAD_LETTERED' WHEN t.expired THEN 'EXPIRED' ELSE 'FAILED' END AS event_type,
      NOT t.expired AS failed, t.expired AS expired
    FROM ended t
  ),
  ${RECORD_CHANGES}
  SELECT ${taskColumns("t")} FROM ended t`;

/** Ends attempts that are leased under exactly the fence named, for another attempt or as dead letters. Answers the tasks that changed. */
export async function endAttempts(queryable: Queryable, attempts: readonly FailedAttempt[]): Promise<TaskRow[]> {
  const input = attempts.map(({ taskId, ...attempt }) => ({ id: taskId, ...attempt }));
  const { rows } = await queryable.query<TaskRow>(END_ATTEMPTS, [JSON.stringify(input)]);
  return rows;
}

const RELEASE = `
  WITH held AS MATERIALIZED (
    SELECT t.id FROM tasks t WHERE t.namespace = $1 AND t.id = $2 AND t.fence = $3 AND t.state = 'LEASED' FOR UPDATE
  ),
  released AS (
    UPDATE tasks t SET state = CASE WHEN $4::bigint > 0 THEN 'SCHEDULED' ELSE 'READY' END::task_state,
      run_at = CASE WHEN $4::bigint > 0 THEN now() + $4::bigint * interval '1 millisecond' ELSE t.run_at END,
      order_at = CASE WHEN $4::bigint > 0 THEN t.order_at + (now() + $4::bigint * interval '1 millisecond' - t.run_at) ELSE t.order_at END,
      attempt = t.attempt - 1, updated_at = now(), progress = NULL
    FROM held h WHERE t.namespace = $1 AND t.id = $2
    RETURNING t.*
  ),
  changes AS (
    SELECT ${changeOf("t")}, 'LEASED'::task_state AS old_state, t.state AS new_state, 0 AS size_delta,
      'RELEASED' AS event_type, false AS failed, false AS expired
    FROM released t
  ),
  ${RECORD_CHANGES}
  SELECT ${taskColumns("t")} FROM released t`;

/** Gives a leased task back with its attempt uncounted; undefined where the fence does not hold it. */
export async function releaseTask(
  queryable: Queryable,
  namespace: string,
  taskId: string,
  fence: number,
  delayMs: number,
) {
  const { rows } = await queryable.query<TaskRow>(RELEASE, [namespace, taskId, fence, delayMs]);
  return rows[0];
}

const CANCEL = `
  WITH held AS MATERIALIZED (
    SELECT t.id, t.state, ${progressBytes("t")} AS size_delta FROM tasks t
    WHERE t.namespace = $1 AND t.id = $2 AND ($3::bigint IS NULL OR t.fence = $3) AND t.state IN ('SCHEDULED', 'READY', 'LEASED')
    FOR UPDATE
  ),
  cancelled AS (
    UPDATE tasks t SET state = 'CANCELLED', finished_at = now(), updated_at = now(),
      size_bytes = t.size_bytes + h.size_delta
    FROM held h WHERE t.namespace = $1 AND t.id = $2
    RETURNING t.*, h.state AS old_state, h.size_delta
  ),
  changes AS (
    SELECT ${changeOf("t")}, t.old_state, t.state AS new_state, t.size_delta,
      'CANCELLED' AS event_type, false AS failed, false AS expired
    FROM cancelled t
  ),
  ${RECORD_CHANGES}
  SELECT ${taskColumns("t")} FROM cancelled t`;

/** Cancels a task that is not final; undefined where it is, or where `fence` is named and is not its latest. */
export async function cancelTask(queryable: Queryable, namespace: string, taskId: string, fence: number | undefined) {
  const { rows } = await queryable.query<TaskRow>(CANCEL, [namespace, taskId, fence ?? null]);
  return rows[0];
}
