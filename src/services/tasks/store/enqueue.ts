import type { Queryable } from "../../../platform/postgres/database.ts";
import { type NewTask, PRIORITIES, type TaskState } from "../task-model.ts";
import { changeOf, RECORD_CHANGES } from "./changes.ts";
import { type TaskRow, taskColumns } from "./task-row.ts";

/** A task about to be stored: what the client asked for, with what the service added. */
export interface TaskDraft {
  readonly id: string;
  readonly queue: string;
  readonly task: NewTask;
  readonly sizeBytes: number;
  /** A hash of everything the client asked for; present with an idempotency key. */
  readonly idempotencyHash: string | undefined;
}

/** What is known of a stored task without its contents. */
export interface StoredTask {
  readonly id: string;
  readonly queue: string;
  readonly state: TaskState;
  readonly run_at: Date;
  readonly required_capabilities: readonly string[];
}

const SELECT_IDEMPOTENT = `
  SELECT id, queue, state, run_at, required_capabilities, idempotency_key, idempotency_hash FROM tasks
  WHERE namespace = $1 AND idempotency_key = ANY($2::text[])`;

function insertReturning(columns: string): string {
  return `
  WITH input AS MATERIALIZED (
    SELECT * FROM json_to_recordset($2::json) AS i(
      id uuid, queue text, lane text, "requiredCapabilities" text[], kind text, priority smallint, "runAt" timestamptz,
      payload json, "sizeBytes" integer, labels jsonb, "concurrencyKey" text, "idempotencyKey" text, "idempotencyHash" text,
      "executionTimeoutMs" bigint, "maxAttempts" integer, "initialBackoffMs" bigint, "maxBackoffMs" bigint,
      multiplier double precision, jitter double precision)
  ),
  known_queues AS (
    INSERT INTO queues (namespace, name) SELECT DISTINCT $1, queue FROM input ON CONFLICT DO NOTHING
  ),
  known_lanes AS (
    INSERT INTO queue_lanes (namespace, queue, lane, capabilities)
    SELECT DISTINCT $1, queue, lane, "requiredCapabilities" FROM input ON CONFLICT DO NOTHING
  ),
  inserted AS (
    INSERT INTO tasks AS t (
      namespace, id, queue, lane, required_capabilities, kind, priority, state, run_at, order_at, payload, size_bytes,
      labels, concurrency_key, idempotency_key, idempotency_hash, execution_timeout_ms, max_attempts,
      initial_backoff_ms, max_backoff_ms, backoff_multiplier, backoff_jitter)
    SELECT $1, i.id, i.queue, i.lane, i."requiredCapabilities", i.kind, i.priority,
      CASE WHEN i."runAt" > now() THEN 'SCHEDULED' ELSE 'READY' END::task_state,
      coalesce(i."runAt", now()),
      coalesce(i."runAt", now()) + i.priority * coalesce(q.aging_ms, 3600000) * interval '1 millisecond',
      i.payload, i."sizeBytes", i.labels, i."concurrencyKey", i."idempotencyKey", i."idempotencyHash",
      i."executionTimeoutMs", i."maxAttempts", i."initialBackoffMs", i."maxBackoffMs", i.multiplier, i.jitter
    FROM input i LEFT JOIN queues q ON q.namespace = $1 AND q.name = i.queue
    ORDER BY i."idempotencyKey", i.id -- so that two batches with the same keys cannot wait for one another
    ON CONFLICT (namespace, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING
    RETURNING t.*
  ),
  changes AS (
    SELECT ${changeOf("t")}, NULL::task_state AS old_state, t.state AS new_state, t.size_bytes AS size_delta,
      'ENQUEUED' AS event_type, false AS failed, false AS expired
    FROM inserted t
  ),
  ${RECORD_CHANGES}
  SELECT ${columns} FROM inserted t`;
}

const INSERT_TASKS = insertReturning("t.id, t.queue, t.state, t.run_at, t.required_capabilities");
const INSERT_WHOLE_TASKS = insertReturning(taskColumns("t"));

/** Finds the tasks that were enqueued under one of `keys`. */
export async function findByIdempotencyKeys(queryable: Queryable, namespace: string, keys: readonly string[]) {
  type Row = StoredTask & { readonly idempotency_key: string; readonly idempotency_hash: string };
  const { rows } = await queryable.query<Row>(SELECT_IDEMPOTENT, [namespace, keys]);
  return new Map(rows.map((row) => [row.idempotency_key, row]));
}

/** Stores the drafts; leaves out those whose idempotency key another transaction stored first. */
export async function insertTasks(
  queryable: Queryable,
  namespace: string,
  drafts: readonly TaskDraft[],
): Promise<StoredTask[]> {
  const { rows } = await queryable.query<StoredTask>(INSERT_TASKS, [namespace, draftsAsJson(drafts)]);
  return rows;
}

/** As `insertTasks`, for one draft, answering the whole row. */
export async function insertWholeTask(
  queryable: Queryable,
  namespace: string,
  draft: TaskDraft,
): Promise<TaskRow | undefined> {
  const { rows } = await queryable.query<TaskRow>(INSERT_WHOLE_TASKS, [namespace, draftsAsJson([draft])]);
  return rows[0];
}

function draftsAsJson(drafts: readonly TaskDraft[]): string {
  return JSON.stringify(
    drafts.map(({ id, queue, task, sizeBytes, idempotencyHash }) => {
      const requiredCapabilities = [...new Set(task.requiredCapabilities)].sort();
      return {
        id,
        queue,
        lane: requiredCapabilities.join(" "),
        requiredCapabilities,
        kind: task.kind,
        priority: PRIORITIES.indexOf(task.priority),
        runAt: task.runAt,
        payload: task.payload,
        sizeBytes,
        labels: task.labels,
        concurrencyKey: task.concurrencyKey,
        idempotencyKey: task.idempotencyKey,
        idempotencyHash,
        executionTimeoutMs: task.executionTimeoutMs,
        ...task.retryPolicy,
      };
    }),
  );
}
