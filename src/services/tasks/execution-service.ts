import type { Call } from "../../core/call.ts";
import { invalidArgument } from "../../core/errors.ts";
import { type Json, jsonSizeBytes } from "../../core/json.ts";
import { countFitting } from "./fitting-tasks.ts";
import { createLongestPromises } from "./longest-promises.ts";
import { type Claim, claimLimited, claimUnlimited } from "./store/claim.ts";
import { type Completion, type CompletionOutcome, completeTasks } from "./store/complete.ts";
import { endAttempts, releaseTask } from "./store/end-attempt.ts";
import { getQueues } from "./store/queues.ts";
import { getTask, setProgress } from "./store/read.ts";
import { type TaskRow, taskFromRow } from "./store/task-row.ts";
import {
  announce,
  announceRoom,
  queueKey,
  readyByQueue,
  roomKey,
  TASK_LEASES,
  type TaskContext,
} from "./task-context.ts";
import { leaseLost } from "./task-errors.ts";
import type { LeaseTasksRequest, Task, TaskProgress } from "./task-model.ts";

/** A waiting leaser looks again after this long even when nobody woke it, in case a wake-up was lost. */
const RECHECK_MS = 5_000;
/** How long a queue's limits are believed; a claim never passes a limit that was set meanwhile, it only waits. */
const LIMITS_STALENESS_MS = 1_000;

interface Held {
  readonly namespace: string;
  readonly taskId: string;
  readonly fence: number;
}

/** What workers ask for. Every verb but `lease` names the fence, and the database decides by it alone. */
export interface ExecutionService {
  /** Claims up to `maxTasks`, waiting up to `waitMs` for the first, or until `signal` fires. */
  lease(input: LeaseTasksRequest, call: Call, signal?: AbortSignal): Promise<Task[]>;
  /** True once the gateway goes away: `lease` does not wait any more. */
  readonly isDraining: boolean;
  /** Answers when the lease ends now. ABORTED LEASE_LOST where the fence does not hold the task. */
  heartbeat(input: Held & { leaseMs: number; progress?: TaskProgress | undefined }): Promise<string>;
  complete(input: Held & { result?: Json | undefined }): Promise<Task>;
  batchComplete(namespace: string, completions: readonly Completion[]): Promise<CompletionOutcome[]>;
  fail(input: Held & FailureReport): Promise<Task>;
  release(input: Held & { delayMs: number }): Promise<Task>;
}

interface FailureReport {
  readonly error: { readonly message: string; readonly type?: string | undefined; readonly details?: Json | undefined };
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
}

export function createExecutionService(context: TaskContext): ExecutionService {
  const { database, leases, readiness, random } = context;
  const isLimited = createLimitsCache(context);
  const longestPromises = createLongestPromises(context);

  const claim = async (request: Claim, maxConcurrentExecutions: number | undefined): Promise<TaskRow[]> => {
    if (maxConcurrentExecutions === undefined && !(await isLimited(request))) {
      const rows = await claimUnlimited(database, request);
      // A queue that was given a limit meanwhile was passed over.
      if (rows.length > 0 || !(await isLimited(request, 0))) return rows;
    }
    return claimLimited(database, request, maxConcurrentExecutions);
  };

  /** A task in one of the queues wakes a leaser, and room does where one was lacking. */
  const waitKeys = async (request: Claim, maxConcurrentExecutions: number | undefined): Promise<string[]> => {
    const { namespace, queues } = request;
    return [
      ...queues.map((queue) => queueKey(namespace, queue)),
      ...((await isLimited(request)) ? queues.map((queue) => roomKey(namespace, queue)) : []),
      ...(maxConcurrentExecutions === undefined ? [] : [roomKey(namespace)]),
    ];
  };

  const settled = (held: Held, row: TaskRow): Task => {
    longestPromises.forget(held);
    forgetLeases(context, held.namespace, [held]);
    announce(context, held.namespace, readyByQueue([row]));
    announceRoom(context, held.namespace, [row.queue]);
    if (row.state === "SCHEDULED") context.scheduled(row.run_at.getTime() - context.clock.now());
    return taskFromRow(row);
  };

  const release = async ({ namespace, taskId, fence, delayMs }: Held & { delayMs: number }): Promise<Task> => {
    const row = await releaseTask(database, namespace, taskId, fence, delayMs);
    if (row === undefined) throw leaseLost(await getTask(database, namespace, taskId), taskId, fence);
    return settled({ namespace, taskId, fence }, row);
  };

  const giveBack = async (namespace: string, rows: readonly TaskRow[]): Promise<void> => {
    for (const row of rows) await release({ namespace, taskId: row.id, fence: row.fence, delayMs: 0 });
  };

  return {
    async lease(input, call, signal) {
      const queues = [...new Set([input.queue, ...input.additionalQueues])];
      const { namespace, workerId, capabilities, maxTasks, leaseMs } = input;
      const request: Claim = { namespace, queues, workerId, capabilities, maxTasks, leaseMs };
      const limit = call.namespace?.quotas.maxConcurrentExecutions;
      const claimed =
        input.waitMs === 0
          ? await claim(request, limit)
          : await claimOrWait(context, await waitKeys(request, limit), input.waitMs, signal ?? call.signal, () =>
              claim(request, limit),
            );
      if (claimed.length === 0) return [];
      if (call.abortReason !== undefined || signal?.aborted) {
        // Nobody is there to hear of them.
        await giveBack(namespace, claimed);
        return [];
      }
      const rows = claimed.slice(0, countFitting(claimed));
      // A client could not take them in, and nobody would work on them.
      if (rows.length < claimed.length) await giveBack(namespace, claimed.slice(rows.length));
      // A full answer means that there may be more: let the next in line look.
      if (rows.length === maxTasks) for (const queue of queues) readiness.notify(queueKey(namespace, queue), 1);
      try {
        const leased = await grantLeases(context, request, rows);
        for (const task of leased) longestPromises.note(task, leaseMs);
        announce(context, namespace, []);
        return leased;
      } catch (error) {
        // The worker is told of the error, so nobody would work on them.
        await giveBack(namespace, rows).catch(() => {});
        throw error;
      }
    },

    get isDraining() {
      return readiness.isDraining;
    },

    async heartbeat({ namespace, taskId, fence, leaseMs, progress }) {
      const lease = { key: taskId, fence, ttlMs: leaseMs };
      if (progress !== undefined && !(await setProgress(database, namespace, taskId, fence, progress))) {
        throw leaseLost(await getTask(database, namespace, taskId), taskId, fence);
      }
      await longestPromises.raise(namespace, { taskId, fence }, leaseMs);
      let [deadline] = await leases.extend(TASK_LEASES, namespace, [lease]);
      if (deadline === undefined) {
        // The store may have forgotten; the row knows whether the lease is still this worker's.
        const task = await getTask(database, namespace, taskId);
        if (task?.fence === fence && task.state === "LEASED") {
          [deadline] = await leases.grant(TASK_LEASES, namespace, [lease]);
        }
        if (deadline === undefined) throw leaseLost(task, taskId, fence);
      }
      return new Date(deadline).toISOString();
    },

    async complete({ namespace, taskId, fence, result }) {
      checkResultSize(context, result, "result");
      const { outcomes, newlyCompleted } = await completeTasks(database, namespace, [{ taskId, fence, result }]);
      const task = await getTask(database, namespace, taskId);
      if (outcomes[0] !== "COMPLETED" || task === undefined) throw leaseLost(task, taskId, fence);
      return newlyCompleted.has(taskId) ? settled({ namespace, taskId, fence }, task) : taskFromRow(task);
    },

    async batchComplete(namespace, completions) {
      for (const [index, { result }] of completions.entries())
        checkResultSize(context, result, `completions[${index}].result`);
      const { outcomes, newlyCompleted } = await completeTasks(database, namespace, completions);
      forgetLeases(
        context,
        namespace,
        completions.filter(({ taskId }) => newlyCompleted.has(taskId)),
      );
      if (newlyCompleted.size > 0) announce(context, namespace, []);
      announceRoom(context, namespace, [...newlyCompleted.values()]);
      return outcomes;
    },

    async fail({ namespace, taskId, fence, error, retryable, retryAfterMs }) {
      checkResultSize(context, error.details, "error.details");
      const [row] = await endAttempts(database, [
        {
          namespace,
          taskId,
          fence,
          ...error,
          type: error.type,
          retryable,
          delayMs: retryAfterMs,
          random: random(),
          expired: false,
        },
      ]);
      if (row) return settled({ namespace, taskId, fence }, row);
      const task = await getTask(database, namespace, taskId);
      // A repeated report of the same failure answers how the task stands.
      const last = task?.failures.at(-1);
      if (task?.fence === fence && last?.fence === fence && last.message === error.message && last.type === error.type)
        return taskFromRow(task);
      throw leaseLost(task, taskId, fence);
    },

    release,
  };
}

/** Tells the lease store of claimed tasks, and answers those that nobody else has claimed since. */
async function grantLeases(context: TaskContext, { namespace, leaseMs }: Claim, rows: readonly TaskRow[]) {
  const grants = rows.map((row) => ({ key: row.id, fence: row.fence, ttlMs: leaseMs }));
  const deadlines = await context.leases.grant(TASK_LEASES, namespace, grants);
  return rows.flatMap((row, index): Task[] => {
    const deadline = deadlines[index];
    return deadline === undefined ? [] : [{ ...taskFromRow(row), leaseExpiresAt: new Date(deadline).toISOString() }];
  });
}

function checkResultSize(context: TaskContext, value: Json | undefined, field: string): void {
  const sizeBytes = value === undefined ? 0 : jsonSizeBytes(value);
  if (sizeBytes <= context.maxPayloadBytes) return;
  const message = `is ${sizeBytes} bytes as JSON; at most ${context.maxPayloadBytes} are allowed. Store it elsewhere and say where it is`;
  throw invalidArgument([{ field, message }]);
}

/** Takes leases of settled tasks out of the store. Nobody waits for it: a lease that stays behind ends by itself and holds nothing. */
function forgetLeases(
  context: TaskContext,
  namespace: string,
  held: readonly { taskId: string; fence: number }[],
): void {
  if (held.length === 0) return;
  context.leases
    .release(
      TASK_LEASES,
      namespace,
      held.map(({ taskId, fence }) => ({ key: taskId, fence })),
    )
    .catch((error: unknown) =>
      context.logger.debug({ err: error, namespace }, "Leases of settled tasks were left to expire"),
    );
}

async function claimOrWait(
  context: TaskContext,
  keys: readonly string[],
  waitMs: number,
  signal: AbortSignal,
  claim: () => Promise<TaskRow[]>,
): Promise<TaskRow[]> {
  const until = context.clock.monotonic() + waitMs;
  const waiter = context.readiness.waiter(keys);
  try {
    while (!signal.aborted) {
      const rows = await claim();
      const leftMs = until - context.clock.monotonic();
      if (rows.length > 0 || leftMs <= 0 || context.readiness.isDraining) return rows;
      const woken = await waiter.wait(Math.min(leftMs, RECHECK_MS), signal);
      // Who goes away without looking leaves the wake-up to the next in line.
      if (woken && signal.aborted) for (const key of keys) context.readiness.notify(key, 1);
    }
    return [];
  } finally {
    waiter.close();
  }
}

/** Remembers for a moment which queues have a concurrency limit, so that a claim without one is a single statement. */
function createLimitsCache(context: TaskContext): (claim: Claim, maxAgeMs?: number) => Promise<boolean> {
  const known = new Map<string, { limited: boolean; at: number }>();
  const maxKnown = 10_000;

  return async ({ namespace, queues }, maxAgeMs = LIMITS_STALENESS_MS) => {
    const now = context.clock.monotonic();
    const unknown = queues.filter(
      (queue) => now - (known.get(queueKey(namespace, queue))?.at ?? -Infinity) >= maxAgeMs,
    );
    if (unknown.length > 0) {
      if (known.size > maxKnown) known.clear();
      const found = new Map(
        (await getQueues(context.database, namespace, unknown)).map((queue) => [queue.queue, queue]),
      );
      for (const name of unknown) {
        const queue = found.get(name);
        const limited = queue?.maxConcurrency !== undefined || queue?.maxConcurrencyPerKey !== undefined;
        known.set(queueKey(namespace, name), { limited, at: now });
      }
    }
    return queues.some((queue) => known.get(queueKey(namespace, queue))?.limited);
  };
}
