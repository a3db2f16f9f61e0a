import type { Clock } from "../../core/clock.ts";
import type { IdGenerator } from "../../core/ids.ts";
import type { Logger } from "../../core/logger.ts";
import type { Database } from "../../platform/postgres/database.ts";
import type { WakeUps } from "../../platform/wake-ups.ts";
import type { LeaseStore } from "../leases/index.ts";
import type { QueueCount } from "./store/maintain.ts";
import type { TaskState } from "./task-model.ts";

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
export function announce(context: TaskContext, namespace: string, ready: readonly QueueCount[]): void {
  // Of those who wait nobody knows what they can do, so all of them look for a task that not everybody can do.
  for (const { queue, count, selective } of ready)
    context.readiness.notify(queueKey(namespace, queue), selective ? Number.MAX_SAFE_INTEGER : count);
  context.changes.notify(namespace, Number.MAX_SAFE_INTEGER);
}

/** Names what leasers under a concurrency limit wait for besides tasks: room in a queue, or in the namespace. */
export function roomKey(namespace: string, queue = ""): string {
  return `${queueKey(namespace, queue)}/room`;
}

/** Tells leasers under a limit that tasks of these queues, one entry for each, are leased no more. */
export function announceRoom(context: TaskContext, namespace: string, queues: readonly string[]): void {
  for (const [queue, group] of Map.groupBy(queues, (name) => name))
    context.readiness.notify(roomKey(namespace, queue), group.length);
  if (queues.length > 0) context.readiness.notify(roomKey(namespace), queues.length);
}

/** Counts those that are ready, by queue. */
export function readyByQueue(
  tasks: readonly {
    readonly queue: string;
    readonly state: TaskState;
    readonly required_capabilities: readonly string[];
  }[],
): QueueCount[] {
  const ready = tasks.filter((task) => task.state === "READY");
  return [...Map.groupBy(ready, (task) => task.queue)].map(([queue, group]) => ({
    queue,
    count: group.length,
    selective: group.some((task) => task.required_capabilities.length > 0),
  }));
}
