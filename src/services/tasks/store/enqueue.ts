import type { Queryable } from "../../../platform/postgres/database.ts";
import { DEFAULT_AGING_MS } from "../queue-model.ts";
import { type NewTask, PRIORITIES, type TaskState } from "../task-model.ts";
import { changedColumns, changeOf, RECORD_CHANGES } from "./changes.ts";
import { laneOf, lanesLock } from "./lanes.ts";
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

/**
 * Tasks of a batch mostly differ in little but their payload, so what they share is sent and read
 * once: $3 holds each shape, $2 what is a task's own with the number of its shape. Without keys
 * nothing can be there already, and rows that need no such check are inserted for less.
 */
function insertReturning(columns: string, keyed: boolean): string {
  return `
  WITH shapes AS MATERIALIZED (
    SELECT s.*, coalesce(q.aging_ms, ${DEFAULT_AGING_MS}) AS aging_ms FROM json_to_recordset($3::json) AS s(
      shape integer, queue text, lane text, "requiredCapabilities" text[], kind text, priority smallint, labels jsonb,
      "executionTimeoutMs" bigint, "maxAttempts" integer, "initialBackoffMs" bigint, "maxBackoffMs" bigint,
      multiplier double precision, jitter double precision)
    LEFT JOIN queues q ON q.namespace = $1 AND q.name = s.queue
  ),
  known_queues AS (
    INSERT INTO queues (namespace, name) SELECT DISTINCT $1, queue FROM shapes ON CONFLICT DO NOTHING
  ),
  known_lanes AS (
    INSERT INTO queue_lanes (namespace, queue, lane, capabilities)
    SELECT $1, queue, lane, capabilities FROM (
      -- Locked row by row, before the row is looked for; the lane that requires nothing never goes.
      SELECT s.*, CASE WHEN s.lane <> '' THEN pg_advisory_xact_lock_shared(${lanesLock("$1", "s.queue")})::text END
      FROM (SELECT DISTINCT queue, lane, "requiredCapabilities" AS capabilities FROM shapes) s
    ) locked ON CONFLICT DO NOTHING
  ),
  inserted AS (
    INSERT INTO tasks AS t (
      namespace, id, queue, lane, required_capabilities, kind, priority, state, run_at, order_at, payload, size_bytes,
      labels, concurrency_key, idempotency_key, idempotency_hash, execution_timeout_ms, max_attempts,
      initial_backoff_ms, max_backoff_ms, backoff_multiplier, backoff_jitter)
    SELECT $1, i.id, s.queue, s.lane, s."requiredCapabilities", s.kind, s.priority,
      CASE WHEN i."runAt" > now() THEN 'SCHEDULED' ELSE 'READY' END::task_state,
      coalesce(i."runAt", now()),
      coalesce(i."runAt", now()) + s.priority * s.aging_ms * interval '1 millisecond',
      i.payload, i."sizeBytes", s.labels, i."concurrencyKey", i."idempotencyKey", i."idempotencyHash",
      s."executionTimeoutMs", s."maxAttempts", s."initialBackoffMs", s."maxBackoffMs", s.multiplier, s.jitter
    FROM json_to_recordset($2::json) AS i(
      id uuid, shape integer, "runAt" timestamptz, payload json, "sizeBytes" integer,
      "concurrencyKey" text, "idempotencyKey" text, "idempotencyHash" text)
    JOIN shapes s ON s.shape = i.shape
    ORDER BY i."idempotencyKey", i.id -- so that two batches with the same keys cannot wait for one another
    ${keyed ? "ON CONFLICT (namespace, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING" : ""}
    RETURNING t.size_bytes, ${columns}
  ),
  changes AS (
    SELECT ${changeOf("t")}, NULL::task_state AS old_state, t.state AS new_state, t.size_bytes AS size_delta,
      'ENQUEUED' AS event_type, false AS failed, false AS expired
    FROM inserted t
  ),
  ${RECORD_CHANGES}
  SELECT * FROM inserted`;
}

const STORED = `${changedColumns("t")}, t.run_at, t.required_capabilities`;
const INSERT_TASKS = insertReturning(STORED, false);
const INSERT_KEYED_TASKS = insertReturning(STORED, true);
const INSERT_WHOLE_TASKS = insertReturning(taskColumns("t"), false);

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
  const keyed = drafts.some(({ task }) => task.idempotencyKey !== undefined);
  const insert = keyed ? INSERT_KEYED_TASKS : INSERT_TASKS;
  const { rows } = await queryable.query<StoredTask>(insert, [namespace, ...draftsAsJson(drafts)]);
  return rows;
}

/** As `insertTasks`, for one draft without an idempotency key, answering the whole row. */
export async function insertWholeTask(queryable: Queryable, namespace: string, draft: TaskDraft): Promise<TaskRow> {
  const { rows } = await queryable.query<TaskRow>(INSERT_WHOLE_TASKS, [namespace, ...draftsAsJson([draft])]);
  return rows[0]!;
}

/** What is each task's own, and what some of them share: the parameters $2 and $3. */
function draftsAsJson(drafts: readonly TaskDraft[]): [tasks: string, shapes: string] {
  const shapes = new Map<string, number>();
  const tasks = drafts.map(({ id, queue, task, sizeBytes, idempotencyHash }) => {
    const { payload, runAt, concurrencyKey, idempotencyKey } = task;
    const shape = shapeOf(queue, task);
    const known = shapes.get(shape);
    if (known === undefined) shapes.set(shape, shapes.size);
    const own = { id, shape: known ?? shapes.size - 1, payload, sizeBytes };
    return { ...own, runAt, concurrencyKey, idempotencyKey, idempotencyHash };
  });
  return [JSON.stringify(tasks), `[${[...shapes].map(([shape, index]) => `{"shape":${index},${shape}`).join()}]`];
}

/** The JSON text, but for its first brace, of what tasks often share. */
function shapeOf(queue: string, { kind, priority, labels, executionTimeoutMs, ...task }: NewTask): string {
  const { lane, capabilities: requiredCapabilities } = laneOf(task.requiredCapabilities);
  const named = { queue, lane, requiredCapabilities, kind, priority: PRIORITIES.indexOf(priority), labels };
  return JSON.stringify({ ...named, executionTimeoutMs, ...task.retryPolicy }).slice(1);
}
