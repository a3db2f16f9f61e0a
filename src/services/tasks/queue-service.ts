import { z } from "zod";
import { notFound } from "../../core/errors.ts";
import { createPageTokens } from "../../core/page.ts";
import type { PriorityDepth, Queue, QueueStats, QueueTotals } from "./queue-model.ts";
import {
  type CounterRow,
  getQueues,
  listQueues,
  oldestReadyAgeMs,
  oldestSample,
  type QueueChange,
  readCounters,
  upsertQueue,
} from "./store/queues.ts";
import { announce, type TaskContext } from "./task-context.ts";
import { PRIORITIES, queueField } from "./task-model.ts";

const THROUGHPUT_WINDOW_MS = 300_000;
const PLACE = z.strictObject({ after: queueField });

export interface QueueService {
  get(namespace: string, queue: string): Promise<Queue>;
  getMany(namespace: string, queues: readonly string[]): Promise<Queue[]>;
  list(
    namespace: string,
    page: { pageSize: number; pageToken: string | undefined },
  ): Promise<{ queues: Queue[]; nextPageToken: string | undefined }>;
  /** Changes settings, making the queue where it is not there. */
  update(namespace: string, queue: string, change: QueueChange): Promise<Queue>;
  /** NOT_FOUND where the queue is not there. */
  setPaused(namespace: string, queue: string, paused: boolean, reason: string | undefined): Promise<Queue>;
  stats(namespace: string, queue: string): Promise<QueueStats>;
}

export function createQueueService(context: TaskContext): QueueService {
  const { database } = context;

  const get = async (namespace: string, name: string): Promise<Queue> => {
    const [queue] = await getQueues(database, namespace, [name]);
    if (queue === undefined) throw notFound("queue", name);
    return queue;
  };
  /** A change may let waiting leasers go on: all of them look again. */
  const change = async (namespace: string, name: string, settings: QueueChange): Promise<Queue> => {
    const queue = await upsertQueue(database, namespace, name, settings);
    announce(context, namespace, [{ queue: name, count: Number.MAX_SAFE_INTEGER, selective: false }]);
    return queue;
  };

  return {
    get,
    getMany: (namespace, queues) => getQueues(database, namespace, queues),
    async list(namespace, { pageSize, pageToken }) {
      const tokens = createPageTokens(PLACE, ["queues.list", namespace]);
      const place = tokens.decode(pageToken);
      const queues = await listQueues(database, namespace, place?.after ?? "", pageSize + 1);
      const page = queues.slice(0, pageSize);
      const last = page.at(-1);
      return {
        queues: page,
        nextPageToken: queues.length > pageSize && last ? tokens.encode({ after: last.queue }) : undefined,
      };
    },
    update: change,
    async setPaused(namespace, name, paused, reason) {
      await get(namespace, name);
      return change(namespace, name, { paused, pauseReason: reason ?? null });
    },
    async stats(namespace, name) {
      await get(namespace, name);
      const [counters, ageMs, sample] = await Promise.all([
        readCounters(database, namespace, name),
        oldestReadyAgeMs(database, namespace, name),
        oldestSample(database, namespace, name, THROUGHPUT_WINDOW_MS),
      ]);
      const totals = totalsOf(counters);
      const windowMs = Math.round(sample?.age_ms ?? 0);
      const perSecond = (now: number, before: number | undefined) =>
        windowMs > 0 ? Math.max(0, ((now - (before ?? 0)) * 1000) / windowMs) : 0;
      return {
        namespace,
        queue: name,
        depth: PRIORITIES.map((priority, index) =>
          depthOf(
            priority,
            counters.find((row) => row.priority === index),
          ),
        ),
        oldestReadyAgeMs: ageMs,
        totals,
        throughput: {
          windowMs,
          enqueuedPerSecond: perSecond(totals.enqueued, sample?.enqueued_total),
          completedPerSecond: perSecond(totals.completed, sample?.completed_total),
          failedPerSecond: perSecond(totals.failed + totals.expired, sample?.failed_total),
        },
      };
    },
  };
}

function depthOf(priority: PriorityDepth["priority"], row: CounterRow | undefined): PriorityDepth {
  return {
    priority,
    scheduled: row?.scheduled ?? 0,
    ready: row?.ready ?? 0,
    leased: row?.leased ?? 0,
    completed: row?.completed ?? 0,
    deadLettered: row?.dead_lettered ?? 0,
    cancelled: row?.cancelled ?? 0,
  };
}

function totalsOf(counters: readonly CounterRow[]): QueueTotals {
  const sum = (of: (row: CounterRow) => number) => counters.reduce((total, row) => total + of(row), 0);
  return {
    enqueued: sum((row) => row.enqueued_total),
    leased: sum((row) => row.leased_total),
    completed: sum((row) => row.completed_total),
    failed: sum((row) => row.failed_total),
    expired: sum((row) => row.expired_total),
    deadLettered: sum((row) => row.dead_lettered_total),
  };
}
