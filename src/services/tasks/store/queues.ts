import type { Queryable } from "../../../platform/postgres/database.ts";
import type { Queue } from "../queue-model.ts";

interface QueueRow {
  readonly namespace: string;
  readonly name: string;
  readonly paused: boolean;
  readonly pause_reason: string | null;
  readonly max_concurrency: number | null;
  readonly max_concurrency_per_key: number | null;
  readonly aging_ms: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

const COLUMNS =
  "namespace, name, paused, pause_reason, max_concurrency, max_concurrency_per_key, aging_ms, created_at, updated_at";

function queueFromRow(row: QueueRow): Queue {
  return {
    namespace: row.namespace,
    queue: row.name,
    paused: row.paused,
    pauseReason: row.pause_reason ?? undefined,
    maxConcurrency: row.max_concurrency ?? undefined,
    maxConcurrencyPerKey: row.max_concurrency_per_key ?? undefined,
    agingMs: row.aging_ms,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

const GET = `SELECT ${COLUMNS} FROM queues WHERE namespace = $1 AND name = ANY($2::text[])`;

export async function getQueues(queryable: Queryable, namespace: string, names: readonly string[]): Promise<Queue[]> {
  const { rows } = await queryable.query<QueueRow>(GET, [namespace, names]);
  return rows.map(queueFromRow);
}

const LIST = `SELECT ${COLUMNS} FROM queues WHERE namespace = $1 AND name > $2 ORDER BY name LIMIT $3`;

/** A page of queues by name, beginning after the name `after`. */
export async function listQueues(
  queryable: Queryable,
  namespace: string,
  after: string,
  limit: number,
): Promise<Queue[]> {
  const { rows } = await queryable.query<QueueRow>(LIST, [namespace, after, limit]);
  return rows.map(queueFromRow);
}

/** Settings to change: undefined stays as it is, null takes a limit away. */
export interface QueueChange {
  readonly maxConcurrency?: number | null | undefined;
  readonly maxConcurrencyPerKey?: number | null | undefined;
  readonly agingMs?: number | undefined;
  readonly paused?: boolean | undefined;
  readonly pauseReason?: string | null | undefined;
}

const UPSERT = `
  INSERT INTO queues AS q (namespace, name, max_concurrency, max_concurrency_per_key, aging_ms, paused, pause_reason)
  VALUES ($1, $2, $4::integer, $6::integer, coalesce($7::bigint, 3600000), coalesce($8::boolean, false), $10::text)
  ON CONFLICT (namespace, name) DO UPDATE SET
    max_concurrency = CASE WHEN $3::boolean THEN $4::integer ELSE q.max_concurrency END,
    max_concurrency_per_key = CASE WHEN $5::boolean THEN $6::integer ELSE q.max_concurrency_per_key END,
    aging_ms = coalesce($7::bigint, q.aging_ms),
    paused = coalesce($8::boolean, q.paused),
    pause_reason = CASE WHEN $9::boolean THEN $10::text ELSE q.pause_reason END,
    updated_at = now()
  RETURNING ${COLUMNS}`;

/** Changes a queue's settings, making the queue where it is not there. */
export async function upsertQueue(
  queryable: Queryable,
  namespace: string,
  name: string,
  change: QueueChange,
): Promise<Queue> {
  const { rows } = await queryable.query<QueueRow>(UPSERT, [
    namespace,
    name,
    change.maxConcurrency !== undefined,
    change.maxConcurrency ?? null,
    change.maxConcurrencyPerKey !== undefined,
    change.maxConcurrencyPerKey ?? null,
    change.agingMs ?? null,
    change.paused ?? null,
    change.pauseReason !== undefined,
    change.pauseReason ?? null,
  ]);
  return queueFromRow(rows[0]!);
}

export interface CounterRow {
  readonly priority: number;
  readonly scheduled: number;
  readonly ready: number;
  readonly leased: number;
  readonly completed: number;
  readonly dead_lettered: number;
  readonly cancelled: number;
  readonly enqueued_total: number;
  readonly leased_total: number;
  readonly completed_total: number;
  readonly failed_total: number;
  readonly expired_total: number;
  readonly dead_lettered_total: number;
}

const COUNTERS = [
  "scheduled",
  "ready",
  "leased",
  "completed",
  "dead_lettered",
  "cancelled",
  "enqueued_total",
  "leased_total",
  "completed_total",
  "failed_total",
  "expired_total",
  "dead_lettered_total",
] as const;
const SUMS = COUNTERS.map((name) => `sum(${name})::bigint AS ${name}`).join(", ");

const COUNT = `SELECT priority, ${SUMS} FROM queue_counters WHERE namespace = $1 AND queue = $2 GROUP BY priority ORDER BY priority`;

export async function readCounters(queryable: Queryable, namespace: string, queue: string): Promise<CounterRow[]> {
  const { rows } = await queryable.query<CounterRow>(COUNT, [namespace, queue]);
  return rows;
}

const OLDEST_READY = `
  SELECT coalesce(extract(epoch FROM now() - min(waiting_since)) * 1000, 0)::double precision AS age_ms
  FROM tasks WHERE namespace = $1 AND queue = $2 AND waiting_since IS NOT NULL`;

/** How long the task that waits longest has been due, in milliseconds. */
export async function oldestReadyAgeMs(queryable: Queryable, namespace: string, queue: string): Promise<number> {
  const { rows } = await queryable.query<{ age_ms: number }>(OLDEST_READY, [namespace, queue]);
  return Math.max(0, Math.round(rows[0]?.age_ms ?? 0));
}

const OLDEST_SAMPLE = `
  SELECT enqueued_total, completed_total, failed_total, (extract(epoch FROM now() - sampled_at) * 1000)::double precision AS age_ms
  FROM queue_samples WHERE namespace = $1 AND queue = $2 AND sampled_at > now() - $3::bigint * interval '1 millisecond'
  ORDER BY sampled_at LIMIT 1`;

export interface QueueSample {
  readonly enqueued_total: number;
  readonly completed_total: number;
  readonly failed_total: number;
  readonly age_ms: number;
}

/** The oldest note of the queue's totals within the last `windowMs`. */
export async function oldestSample(queryable: Queryable, namespace: string, queue: string, windowMs: number) {
  const { rows } = await queryable.query<QueueSample>(OLDEST_SAMPLE, [namespace, queue, windowMs]);
  return rows[0];
}

export interface NamespaceUsage {
  readonly waiting: number;
  readonly leased: number;
  readonly stored_bytes: number;
  readonly deepest_queue: number;
}

const USAGE = `
  WITH queues AS (
    SELECT queue, sum(scheduled + ready) AS waiting, sum(leased) AS leased, sum(stored_bytes) AS stored_bytes
    FROM queue_counters WHERE namespace = $1 GROUP BY queue
  )
  SELECT coalesce(sum(waiting), 0)::bigint AS waiting, coalesce(sum(leased), 0)::bigint AS leased,
    coalesce(sum(stored_bytes), 0)::bigint AS stored_bytes, coalesce(max(waiting), 0)::bigint AS deepest_queue FROM queues`;

/** What a namespace uses of its quotas. */
export async function readUsage(queryable: Queryable, namespace: string): Promise<NamespaceUsage> {
  const { rows } = await queryable.query<NamespaceUsage>(USAGE, [namespace]);
  return rows[0]!;
}

const QUEUE_USAGE = `
  SELECT coalesce(sum(scheduled + ready) FILTER (WHERE queue = $2), 0)::bigint AS waiting, coalesce(sum(stored_bytes), 0)::bigint AS stored_bytes
  FROM queue_counters WHERE namespace = $1`;

/** How many tasks wait in one queue, and what the namespace stores. */
export async function readQueueUsage(queryable: Queryable, namespace: string, queue: string) {
  const { rows } = await queryable.query<{ waiting: number; stored_bytes: number }>(QUEUE_USAGE, [namespace, queue]);
  return rows[0]!;
}

const LOCK_QUOTAS = "SELECT pg_advisory_xact_lock(hashtextextended('tasks.quota:' || $1, 0))";

/** Lets enqueues of one namespace take turns until the transaction ends, where a quota is nearly used up. */
export async function lockQuotas(queryable: Queryable, namespace: string): Promise<void> {
  await queryable.query(LOCK_QUOTAS, [namespace]);
}

const DEPTHS = `
  SELECT namespace, queue, sum(scheduled)::bigint AS scheduled, sum(ready)::bigint AS ready, sum(leased)::bigint AS leased,
    sum(leased_total)::bigint AS leased_total, sum(expired_total)::bigint AS expired_total, sum(dead_lettered)::bigint AS dead_lettered
  FROM queue_counters GROUP BY namespace, queue ORDER BY sum(scheduled + ready + leased) DESC LIMIT $1`;

export interface QueueDepth {
  readonly namespace: string;
  readonly queue: string;
  readonly scheduled: number;
  readonly ready: number;
  readonly leased: number;
  readonly dead_lettered: number;
  readonly leased_total: number;
  readonly expired_total: number;
}

/** The deepest queues of all namespaces, for metrics. */
export async function readDepths(queryable: Queryable, limit: number): Promise<QueueDepth[]> {
  const { rows } = await queryable.query<QueueDepth>(DEPTHS, [limit]);
  return rows;
}
