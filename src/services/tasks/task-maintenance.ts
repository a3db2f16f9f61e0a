import type { Component } from "../../core/lifecycle.ts";
import { createLoop } from "../../core/loop.ts";
import { RECHECK_MS } from "./store/claim.ts";
import { endAttempts, type FailedAttempt } from "./store/end-attempt.ts";
import { deleteEmptyLanes } from "./store/lanes.ts";
import { listDueChecks, type OverdueTask, settleChecks } from "./store/lease-checks.ts";
import {
  deleteFinishedTasks,
  deleteOldEvents,
  millisecondsToNextDue,
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
        while (!signal.aborted && (await deleteFinishedTasks(database, options.retentionMs, BATCH)) > 0);
        while (
          !signal.aborted &&
          (await deleteOldEvents(database, options.eventRetentionMs, EVENT_BATCH)) === EVENT_BATCH
        );
        await deleteEmptyLanes(database, BATCH);
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

type EndedTask = Pick<OverdueTask, "namespace" | "id" | "fence" | "timed_out">;

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
 * execution time has run out. One that the lease store does not know is not dead: its worker gets
 * the whole time it was promised once more, to be heard of.
 */
async function checkOverdue(context: TaskContext): Promise<number | undefined> {
  const { checkIds, tasks } = await listDueChecks(context.database, BATCH);
  if (checkIds.length === 0) return undefined;
  const alive = await findAlive(context, tasks);
  await takeBack(
    context,
    tasks.filter((task) => !alive.has(task)),
  );
  await settleChecks(context.database, checkIds, [...alive], RECHECK_MS);
  return 0;
}

async function findAlive(context: TaskContext, tasks: readonly OverdueTask[]): Promise<Set<OverdueTask>> {
  const alive = new Set<OverdueTask>();
  const inTime = tasks.filter((task) => !task.timed_out);
  for (const [namespace, group] of Map.groupBy(inTime, (task) => task.namespace)) {
    const leases = group.map(({ id, fence, lease_ms }) => ({ key: id, fence, ttlMs: lease_ms }));
    const known = await context.leases.adopt(TASK_LEASES, namespace, leases);
    group.forEach((task, index) => {
      if (known[index]!.remainingMs > 0) alive.add(task);
    });
  }
  return alive;
}

async function takeBack(context: TaskContext, tasks: readonly EndedTask[]): Promise<void> {
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

function expiredAttempt(task: EndedTask): FailedAttempt {
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
