import type { Component } from "../../core/lifecycle.ts";
import { createLoop } from "../../core/loop.ts";
import { endAttempts, type FailedAttempt } from "./store/end-attempt.ts";
import {
  deleteFinishedTasks,
  deleteOldEvents,
  listOverdueTasks,
  millisecondsToNextDue,
  type OverdueTask,
  postponeChecks,
  promoteDueTasks,
  type QueueCount,
  sampleQueueTotals,
} from "./store/maintain.ts";
import { deleteWorker, getWorkers } from "./store/workers.ts";
import { announce, announceRoom, readyByQueue, TASK_LEASES, type TaskContext, WORKER_LEASES } from "./task-context.ts";

export interface TaskMaintenanceOptions {
  /** How long completed and cancelled tasks are kept, in milliseconds. */
  readonly retentionMs: number;
  /** How long events are kept for watchers that come back, in milliseconds. */
  readonly eventRetentionMs: number;
}

export interface TaskMaintenance extends Component {
  /** A task is scheduled for `delayMs` from now: be there in time. */
  scheduled(delayMs: number): void;
}

const BATCH = 500;
const EVENT_BATCH = 5_000;
const EXPIRY_INTERVAL_MS = 250;
const OVERDUE_INTERVAL_MS = 500;
/** A task that is alive is looked at again after this long: the bound on how late a lease store that forgot everything is noticed. */
const RECHECK_MS = 15_000;
const PROMOTE_INTERVAL_MS = 1_000;
const RETENTION_INTERVAL_MS = 60_000;
const SAMPLE_INTERVAL_MS = 10_000;
const SAMPLES_KEPT_MS = 600_000;
const LOST_WORKER_KEPT_MS = 86_400_000;

/**
 * What has to happen by itself: due tasks become ready, expired leases are taken back, old rows go.
 * Every gateway runs all of it; the statements see to it that each thing happens once.
 */
export function createTaskMaintenance(context: TaskContext, options: TaskMaintenanceOptions): TaskMaintenance {
  const { database, logger } = context;

  const promoter = createLoop({
    name: "tasks.promote",
    intervalMs: PROMOTE_INTERVAL_MS,
    logger,
    work: async () => {
      const promoted = await promoteDueTasks(database, BATCH);
      announceByNamespace(context, promoted);
      return millisecondsToNextDue(database);
    },
  });
  const loops = [
    promoter,
    createLoop({ name: "tasks.expire", intervalMs: EXPIRY_INTERVAL_MS, logger, work: () => expireLeases(context) }),
    createLoop({ name: "tasks.overdue", intervalMs: OVERDUE_INTERVAL_MS, logger, work: () => checkOverdue(context) }),
    createLoop({
      name: "tasks.retention",
      intervalMs: RETENTION_INTERVAL_MS,
      logger,
      work: async (signal) => {
        while (!signal.aborted && (await deleteFinishedTasks(database, options.retentionMs, BATCH)) === BATCH);
        while (
          !signal.aborted &&
          (await deleteOldEvents(database, options.eventRetentionMs, EVENT_BATCH)) === EVENT_BATCH
        );
        await forgetLostWorkers(context);
        return undefined;
      },
    }),
    createLoop({
      name: "tasks.sample",
      intervalMs: SAMPLE_INTERVAL_MS,
      logger,
      work: async () => {
        await sampleQueueTotals(database, SAMPLE_INTERVAL_MS, SAMPLES_KEPT_MS);
        return undefined;
      },
    }),
  ];

  return {
    name: "task maintenance",
    scheduled: (delayMs) => promoter.hurry(Math.max(0, delayMs)),
    async start() {
      for (const loop of loops) await loop.start();
    },
    async stop(deadlineMs) {
      await Promise.all(loops.map((loop) => loop.stop(deadlineMs)));
    },
  };
}

/** Takes back what the lease store says has run out. */
async function expireLeases(context: TaskContext): Promise<number | undefined> {
  const expired = await context.leases.expired(TASK_LEASES, BATCH);
  const tasks = expired.map(({ partition, key, fence }) => ({
    namespace: partition,
    id: key,
    fence,
    timed_out: false,
  }));
  await takeBack(context, tasks);
  return expired.length === BATCH ? 0 : undefined;
}

/**
 * Looks at leased tasks that the lease store should have told of by now, and at those whose
 * execution time has run out. This finds what a lease store that lost its memory forgot.
 */
async function checkOverdue(context: TaskContext): Promise<number | undefined> {
  const overdue = await listOverdueTasks(context.database, BATCH);
  if (overdue.length === 0) return undefined;
  const alive = await findAlive(context, overdue);
  await takeBack(
    context,
    overdue.filter((task) => !alive.has(task)),
  );
  if (alive.size > 0) await postponeChecks(context.database, [...alive], RECHECK_MS);
  return overdue.length === BATCH ? 0 : undefined;
}

async function findAlive(context: TaskContext, tasks: readonly OverdueTask[]): Promise<Set<OverdueTask>> {
  const nowMs = await context.leases.now();
  const alive = new Set<OverdueTask>();
  for (const [namespace, group] of Map.groupBy(tasks, (task) => task.namespace)) {
    const deadlines = await context.leases.deadlines(
      TASK_LEASES,
      namespace,
      group.map((task) => task.id),
    );
    group.forEach((task, index) => {
      if (!task.timed_out && (deadlines[index] ?? 0) > nowMs) alive.add(task);
    });
  }
  return alive;
}

async function takeBack(context: TaskContext, tasks: readonly OverdueTask[]): Promise<void> {
  if (tasks.length === 0) return;
  const rows = await endAttempts(context.database, tasks.map(expiredAttempt));
  for (const [namespace, group] of Map.groupBy(tasks, (task) => task.namespace)) {
    await context.leases.release(
      TASK_LEASES,
      namespace,
      group.map((task) => ({ key: task.id, fence: task.fence })),
    );
  }
  for (const [namespace, group] of Map.groupBy(rows, (row) => row.namespace)) {
    announce(context, namespace, readyByQueue(group));
    announceRoom(
      context,
      namespace,
      group.map((row) => row.queue),
    );
  }
}

function expiredAttempt(task: OverdueTask): FailedAttempt {
  return {
    namespace: task.namespace,
    taskId: task.id,
    fence: task.fence,
    type: task.timed_out ? "EXECUTION_TIMEOUT" : "LEASE_EXPIRED",
    message: task.timed_out
      ? "The attempt took longer than its executionTimeoutMs."
      : "The lease ended without a heartbeat.",
    retryable: true,
    delayMs: 0,
    random: 0,
    expired: true,
  };
}

function announceByNamespace(context: TaskContext, ready: readonly (QueueCount & { namespace: string })[]): void {
  for (const [namespace, queues] of Map.groupBy(ready, (entry) => entry.namespace))
    announce(context, namespace, queues);
}

async function forgetLostWorkers(context: TaskContext): Promise<void> {
  const lost = await context.leases.expired(WORKER_LEASES, BATCH);
  const nowMs = await context.leases.now();
  for (const { partition, key, fence } of lost) {
    const [deadline] = await context.leases.deadlines(WORKER_LEASES, partition, [key]);
    if (deadline === undefined || deadline > nowMs - LOST_WORKER_KEPT_MS) continue;
    const [worker] = await getWorkers(context.database, partition, [key]);
    if (worker?.generation === fence) await deleteWorker(context.database, partition, key);
    await context.leases.release(WORKER_LEASES, partition, [{ key, fence }]);
  }
}
