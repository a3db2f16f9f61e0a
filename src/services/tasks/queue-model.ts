import { z } from "zod";
import { pageSizeField, pageTokenField } from "../../core/page.ts";
import { durationMs, instant, message, namespaceField, text } from "../../core/schema.ts";
import { queueField, TaskPriority } from "./task-model.ts";

/** How long a level of priority is worth, where a queue does not say otherwise. */
export const DEFAULT_AGING_MS = 3_600_000;

export const Queue = message(
  "Queue",
  "Where tasks of one sort wait. It is there from its first task or its first setting on.",
  {
    namespace: z.string().describe("The namespace it belongs to."),
    queue: z.string().describe("Its name."),
    paused: z.boolean().describe("While true, nothing is leased from it; work under way goes on."),
    pauseReason: z.string().optional().describe("Why it was paused, for people."),
    maxConcurrency: z
      .int32()
      .optional()
      .describe("At most this many of its tasks are leased at a time; absent means no limit."),
    maxConcurrencyPerKey: z
      .int32()
      .optional()
      .describe("At most this many leased tasks share one concurrencyKey; absent means no limit."),
    agingMs: z
      .int()
      .describe(
        "One level of priority is worth this much waiting, in milliseconds: a task overtakes those one level above it that became due this much later.",
      ),
    createdAt: instant("When it was first used."),
    updatedAt: instant("When its settings last changed."),
  },
);
export type Queue = z.output<typeof Queue>;

const named = { namespace: namespaceField, queue: queueField };

export const GetQueueRequest = message("GetQueueRequest", "Asks for one queue.", named);
export const GetQueueResponse = message("GetQueueResponse", "The queue.", { queue: Queue.describe("The queue.") });

export const ListQueuesRequest = message("ListQueuesRequest", "Asks for a page of queues, by name.", {
  namespace: namespaceField,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export const ListQueuesResponse = message("ListQueuesResponse", "A page of queues.", {
  queues: z.array(Queue).describe("By name."),
  nextPageToken: z.string().optional().describe("Give it as pageToken to go on; absent on the last page."),
});

const concurrency = z.int32().min(0).max(1_000_000);
export const UpdateQueueRequest = message(
  "UpdateQueueRequest",
  "Changes a queue's settings; what is absent stays. It makes the queue where it is not there.",
  {
    ...named,
    maxConcurrency: concurrency
      .optional()
      .describe("At most this many of its tasks are leased at a time; 0 takes the limit away."),
    maxConcurrencyPerKey: concurrency
      .optional()
      .describe("At most this many leased tasks share one concurrencyKey; 0 takes the limit away."),
    agingMs: durationMs(
      1,
      365 * 86_400_000,
      "What one level of priority is worth in waiting, in milliseconds; it counts for tasks enqueued from now on.",
    ).optional(),
  },
);
export const UpdateQueueResponse = message("UpdateQueueResponse", "The queue as it is now.", {
  queue: Queue.describe("The queue."),
});

export const PauseQueueRequest = message(
  "PauseQueueRequest",
  "Stops leasing from a queue; enqueueing and work under way go on.",
  {
    ...named,
    reason: text(1000).optional().describe("Why, for people."),
  },
);
export const PauseQueueResponse = message("PauseQueueResponse", "The queue as it is now.", {
  queue: Queue.describe("The queue."),
});
export const ResumeQueueRequest = message("ResumeQueueRequest", "Lets a paused queue go on.", named);
export const ResumeQueueResponse = message("ResumeQueueResponse", "The queue as it is now.", {
  queue: Queue.describe("The queue."),
});

export const PriorityDepth = message("PriorityDepth", "How many tasks of one priority there are.", {
  priority: TaskPriority.describe("The priority."),
  scheduled: z.int().describe("Waiting for their runAt."),
  ready: z.int().describe("Waiting for a worker."),
  leased: z.int().describe("Being worked on."),
  completed: z.int().describe("Completed and still kept."),
  deadLettered: z.int().describe("Dead letters."),
  cancelled: z.int().describe("Cancelled and still kept."),
});
export type PriorityDepth = z.output<typeof PriorityDepth>;

export const QueueTotals = message("QueueTotals", "What went through a queue since it was made.", {
  enqueued: z.int().describe("Tasks enqueued."),
  leased: z.int().describe("Leases given."),
  completed: z.int().describe("Tasks completed."),
  failed: z.int().describe("Attempts that failed."),
  expired: z.int().describe("Attempts whose lease or execution time ran out."),
  deadLettered: z.int().describe("Tasks that became dead letters."),
});
export type QueueTotals = z.output<typeof QueueTotals>;

export const QueueThroughput = message("QueueThroughput", "How fast a queue moved lately.", {
  windowMs: z.int().describe("Over how long it was measured, in milliseconds; up to five minutes."),
  enqueuedPerSecond: z.number().describe("Tasks enqueued a second."),
  completedPerSecond: z.number().describe("Tasks completed a second."),
  failedPerSecond: z.number().describe("Attempts failed or expired a second."),
});

export const GetQueueStatsRequest = message("GetQueueStatsRequest", "Asks for a queue's figures.", named);
export const GetQueueStatsResponse = message("GetQueueStatsResponse", "A queue's figures, exact at one moment.", {
  namespace: z.string().describe("The namespace it belongs to."),
  queue: z.string().describe("Its name."),
  depth: z.array(PriorityDepth).describe("For each priority, most important first."),
  oldestReadyAgeMs: z
    .int()
    .describe("How long the task that waits longest has been due, in milliseconds; 0 if none waits."),
  totals: QueueTotals.describe("Since the queue was made."),
  throughput: QueueThroughput.describe("Lately."),
});
export type QueueStats = z.output<typeof GetQueueStatsResponse>;
