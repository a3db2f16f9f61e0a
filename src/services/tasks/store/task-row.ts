import type { Json } from "../../../core/json.ts";
import { PRIORITIES, type Task, type TaskFailure, type TaskState } from "../task-model.ts";

/** A failure as it is kept: with the fence it was told under, so that a repeated report is recognised. */
export type StoredFailure = TaskFailure & { readonly fence: number };

/** A row of `tasks` as both engines answer it. */
export interface TaskRow {
  readonly namespace: string;
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly state: TaskState;
  readonly priority: number;
  readonly attempt: number;
  readonly fence: number;
  readonly run_at: Date;
  readonly created_at: Date;
  readonly updated_at: Date;
  readonly leased_at: Date | null;
  readonly finished_at: Date | null;
  readonly worker_id: string | null;
  readonly concurrency_key: string | null;
  readonly idempotency_key: string | null;
  readonly execution_timeout_ms: number | null;
  readonly max_attempts: number;
  readonly initial_backoff_ms: number;
  readonly max_backoff_ms: number;
  readonly backoff_multiplier: number;
  readonly backoff_jitter: number;
  readonly required_capabilities: string[];
  readonly labels: Record<string, string>;
  /** A JSON null is kept as SQL's. */
  readonly payload: Json;
  readonly result: Json;
  readonly progress: Task["progress"] | null;
  readonly failures: StoredFailure[];
}

/** The bytes that the progress of the row named `alias` takes. It counts as stored once no attempt is under way that may change it. */
export function progressBytes(alias: string): string {
  return `coalesce(octet_length(${alias}.progress::text), 0)`;
}

/** What a statement selects or returns so that `taskFromRow` can read it, from the table named `alias`. */
export function taskColumns(alias: string): string {
  return `${alias}.namespace, ${alias}.id, ${alias}.queue, ${alias}.kind, ${alias}.state, ${alias}.priority, ${alias}.attempt,
    ${alias}.fence, ${alias}.run_at, ${alias}.created_at, ${alias}.updated_at, ${alias}.leased_at, ${alias}.finished_at,
    ${alias}.worker_id, ${alias}.concurrency_key, ${alias}.idempotency_key, ${alias}.execution_timeout_ms,
    ${alias}.max_attempts, ${alias}.initial_backoff_ms, ${alias}.max_backoff_ms, ${alias}.backoff_multiplier,
    ${alias}.backoff_jitter, ${alias}.required_capabilities, ${alias}.labels, ${alias}.payload, ${alias}.result,
    ${alias}.progress, ${alias}.failures`;
}

export function taskFromRow(row: TaskRow): Task {
  return {
    namespace: row.namespace,
    taskId: row.id,
    queue: row.queue,
    kind: row.kind,
    state: row.state,
    priority: PRIORITIES[row.priority] ?? "NORMAL",
    payload: row.payload,
    result: row.result ?? undefined,
    runAt: row.run_at.toISOString(),
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
    finishedAt: row.finished_at?.toISOString(),
    attempt: row.attempt,
    fence: row.fence,
    workerId: row.worker_id ?? undefined,
    leasedAt: row.leased_at?.toISOString(),
    retryPolicy: {
      maxAttempts: row.max_attempts,
      initialBackoffMs: row.initial_backoff_ms,
      maxBackoffMs: row.max_backoff_ms,
      multiplier: row.backoff_multiplier,
      jitter: row.backoff_jitter,
    },
    executionTimeoutMs: row.execution_timeout_ms ?? undefined,
    requiredCapabilities: row.required_capabilities,
    labels: row.labels,
    concurrencyKey: row.concurrency_key ?? undefined,
    idempotencyKey: row.idempotency_key ?? undefined,
    progress: row.progress ?? undefined,
    failures: row.failures.map(({ fence: _fence, ...failure }) => failure),
  };
}
