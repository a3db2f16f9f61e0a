import type { Clock } from "../../core/clock.ts";
import type { IdGenerator } from "../../core/ids.ts";
import type { Logger } from "../../core/logger.ts";
import type { Database } from "../../platform/postgres/database.ts";
import type { WakeUps } from "../../platform/wake-ups.ts";
import type { LeaseStore } from "../leases/index.ts";

/** The lease store's space for tasks: key = task id, partition = namespace. */
export const TASK_LEASES = "tasks";
/** The lease store's space for workers: key = worker id, partition = namespace. */
export const WORKER_LEASES = "workers";

/** What the services of this domain share. */
export interface TaskContext {
  readonly database: Database;
  readonly leases: LeaseStore;
  readonly ids: IdGenerator;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly logger: Logger;
  /** Wakes leasers, by `queueKey`. */
  readonly readiness: WakeUps;
  /** Wakes watchers, by namespace. */
  readonly changes: WakeUps;
  /** Wakes the promoter: a task is scheduled for `delayMs` from now. */
  readonly scheduled: (delayMs: number) => void;
  readonly maxPayloadBytes: number;
}

/** Names a queue for wake-ups; neither part can hold a slash. */
export function queueKey(namespace: string, queue: string): string {
  return `${namespace}/${queue}`;
}

/** Tells leasers and watchers what became of tasks. Every change goes through here, after it is durable. */
export function announce(
  context: TaskContext,
  namespace: string,
  ready: readonly { readonly queue: string; readonly count: number }[],
): void {
  for (const { queue, count } of ready) context.readiness.notify(queueKey(namespace, queue), count);
  context.changes.notify(namespace, Number.MAX_SAFE_INTEGER);
}
