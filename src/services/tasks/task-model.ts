import { z } from "zod";
import { json } from "../../core/json.ts";
import { pageSizeField, pageTokenField } from "../../core/page.ts";
import {
  durationMs,
  enumeration,
  identifier,
  instant,
  message,
  nameField,
  namespaceField,
  text,
  uuidField,
} from "../../core/schema.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
export const MAX_BATCH = 1000;
export const MAX_LABELS = 32;

export const TaskPriority = enumeration(
  "TaskPriority",
  "How important a task is. A less important task still overtakes once it has waited long enough: see the queue's agingMs.",
  {
    CRITICAL: "Before everything else.",
    HIGH: "Before what is normal.",
    NORMAL: "What a task has where nothing is said.",
    LOW: "After what is normal.",
    BACKGROUND: "When there is nothing else to do.",
  },
);
export type TaskPriority = z.output<typeof TaskPriority>;
/** In order of importance; the index is what the database stores. */
export const PRIORITIES: readonly TaskPriority[] = TaskPriority.options;

export const TaskState = enumeration(
  "TaskState",
  "Where a task stands. COMPLETED, DEAD_LETTERED and CANCELLED are final.",
  {
    SCHEDULED: "It waits for its runAt, or for its next attempt.",
    READY: "It waits for a worker.",
    LEASED: "A worker has it.",
    COMPLETED: "It is done.",
    DEAD_LETTERED: "It failed for good. It can be redriven.",
    CANCELLED: "It was ended before it was done.",
  },
);
export type TaskState = z.output<typeof TaskState>;
export const TASK_STATES: readonly TaskState[] = TaskState.options;

export const queueField = nameField("The queue, e.g. `embeddings`. It is there from its first task on.");
export const taskIdField = uuidField("The task's id, as enqueue answered it.");
export const workerIdField = identifier(200).describe("The worker's own stable name, e.g. its host and process id.");
export const fenceField = z
  .int()
  .min(1)
  .describe("The fencing token that the task was leased with. It grows with each lease; an older one changes nothing.");
export const leaseMsField = durationMs(100, DAY_MS, "How long the lease lasts without a heartbeat, in milliseconds.");

export const capabilitiesField = z.array(identifier(100)).max(32).describe("Words such as `gpu` or `region:eu`.");

const LABEL_KEY = /^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$/;
export const labelsField = z
  .record(
    z.string().regex(LABEL_KEY, { error: "keys must be 1 to 63 of letters, digits, '.', '_', '/' and '-'" }),
    text(255),
  )
  .refine((labels) => Object.keys(labels).length <= MAX_LABELS, {
    error: `must not have more than ${MAX_LABELS} entries`,
  })
  .describe(`At most ${MAX_LABELS} labels; values are up to 255 characters.`);

export const RetryPolicy = message(
  "RetryPolicy",
  "When a failed attempt is tried again: min(maxBackoffMs, initialBackoffMs × multiplier^(attempt − 1)), spread by jitter.",
  {
    maxAttempts: z.int32().min(1).max(1000).default(5).describe("Attempts in all, the first included."),
    initialBackoffMs: durationMs(0, DAY_MS, "The wait before the second attempt, in milliseconds.").default(1000),
    maxBackoffMs: durationMs(0, 30 * DAY_MS, "No wait is longer than this, in milliseconds.").default(300_000),
    multiplier: z.number().min(1).max(100).default(2).describe("How much longer each wait is than the one before."),
    jitter: z
      .number()
      .min(0)
      .max(1)
      .default(0.2)
      .describe("The share of a wait that is random, so that failures do not return in step: 0.2 means ±20%."),
  },
);
export type RetryPolicy = z.output<typeof RetryPolicy>;
export const DEFAULT_RETRY_POLICY: RetryPolicy = RetryPolicy.parse({});

export const TaskError = message("TaskError", "What went wrong, in the worker's words.", {
  message: text(4000, 1).describe("For people."),
  type: text(200).optional().describe("A stable word for programs, e.g. `OUT_OF_MEMORY`."),
  details: json("Anything that helps to find the cause.").optional(),
});

export const TaskFailure = message("TaskFailure", "One attempt that did not end well.", {
  attempt: z.int32().describe("Which attempt it was, from 1."),
  workerId: z.string().optional().describe("The worker that had it."),
  occurredAt: instant("When it ended."),
  message: z.string().describe("What went wrong."),
  type: z.string().optional().describe("A stable word: the worker's own, or LEASE_EXPIRED or EXECUTION_TIMEOUT."),
  details: json("As the worker gave them.").optional(),
});
export type TaskFailure = z.output<typeof TaskFailure>;

export const TaskProgress = message("TaskProgress", "How far the work is.", {
  percent: z.number().min(0).max(100).optional().describe("0 to 100."),
  message: text(1000).optional().describe("For people."),
});

export type TaskProgress = z.output<typeof TaskProgress>;

export const Task = message("Task", "One piece of work.", {
  namespace: z.string().describe("The namespace it belongs to."),
  taskId: z.string().describe("Its id, a UUIDv7."),
  queue: z.string().describe("The queue it waits in."),
  kind: z.string().describe("What is to be done: the worker picks its code by it."),
  state: TaskState.describe("Where it stands."),
  priority: TaskPriority.describe("How important it is."),
  payload: json("The work's input.").optional().meta({ visibleTo: "tasks.readPayload" }),
  result: json("What the worker answered.").optional().meta({ visibleTo: "tasks.readPayload" }),
  runAt: instant("Not before this time."),
  createdAt: instant("When it was enqueued."),
  updatedAt: instant("When its state last changed."),
  finishedAt: instant("When it reached a final state.").optional(),
  attempt: z.int32().describe("Attempts begun so far; a release takes its attempt back."),
  fence: z.int().describe("The fencing token of its latest lease; 0 before the first."),
  workerId: z.string().optional().describe("Who holds it, or who completed it."),
  leasedAt: instant("When its latest lease began.").optional(),
  leaseExpiresAt: instant(
    "When its lease ends without a heartbeat; told where it is leased and by a heartbeat.",
  ).optional(),
  retryPolicy: RetryPolicy.describe("When a failed attempt is tried again."),
  executionTimeoutMs: z
    .int()
    .optional()
    .describe("An attempt is taken away after this long, heartbeats or not, in milliseconds."),
  requiredCapabilities: z.array(z.string()).describe("A worker needs all of these."),
  labels: z.record(z.string(), z.string()).describe("For finding it again."),
  concurrencyKey: z.string().optional().describe("Tasks with one key share the queue's maxConcurrencyPerKey."),
  idempotencyKey: z.string().optional().describe("The key it was enqueued under."),
  progress: TaskProgress.optional().describe("As the latest heartbeat told it."),
  failures: z.array(TaskFailure).describe("The latest attempts that did not end well, at most ten, oldest first."),
});
export type Task = z.output<typeof Task>;

const enqueueShape = {
  kind: identifier(200).describe("What is to be done: the worker picks its code by it."),
  payload: json("The work's input. Its size as JSON text is limited, by default to 256 KiB.").default(null),
  priority: TaskPriority.default("NORMAL").describe("How important it is."),
  runAt: instant("Not before this time; absent means now.").optional(),
  retryPolicy: RetryPolicy.default(DEFAULT_RETRY_POLICY).describe("When a failed attempt is tried again."),
  executionTimeoutMs: durationMs(
    100,
    30 * DAY_MS,
    "An attempt is taken away after this long, heartbeats or not.",
  ).optional(),
  requiredCapabilities: capabilitiesField.default([]),
  labels: labelsField.default({}),
  concurrencyKey: identifier(200).optional().describe("Tasks with one key share the queue's maxConcurrencyPerKey."),
  idempotencyKey: identifier(255)
    .optional()
    .describe(
      "The same key with the same task answers the task that is there; with another task it is refused with ALREADY_EXISTS. It holds within the namespace, as long as the task is kept.",
    ),
};

export const NewTask = message("NewTask", "A task to be enqueued.", enqueueShape);
export type NewTask = z.output<typeof NewTask>;

export const EnqueueTaskRequest = message("EnqueueTaskRequest", "Asks for one new task.", {
  namespace: namespaceField,
  queue: queueField,
  ...enqueueShape,
});
export const EnqueueTaskResponse = message("EnqueueTaskResponse", "The task as it is stored.", {
  task: Task.describe("The task."),
  duplicate: z.boolean().describe("True where the idempotency key found a task that was there already."),
});

export const BatchEnqueueTasksRequest = message(
  "BatchEnqueueTasksRequest",
  "Asks for several new tasks in one queue: all of them or none.",
  {
    namespace: namespaceField,
    queue: queueField,
    tasks: z.array(NewTask).min(1).max(MAX_BATCH).describe(`1 to ${MAX_BATCH} tasks.`),
  },
);
export const EnqueuedTask = message("EnqueuedTask", "What became of one task of a batch.", {
  taskId: z.string().describe("Its id."),
  state: TaskState.describe("Where it stands."),
  duplicate: z.boolean().describe("True where the idempotency key found a task that was there already."),
});
export const BatchEnqueueTasksResponse = message(
  "BatchEnqueueTasksResponse",
  "One entry for each task, in the order given.",
  {
    tasks: z.array(EnqueuedTask).describe("One entry for each task."),
  },
);

export const LeaseTasksRequest = message("LeaseTasksRequest", "Asks for work.", {
  namespace: namespaceField,
  queue: queueField,
  additionalQueues: z.array(queueField).max(31).default([]).describe("More queues to look in, as one with the first."),
  workerId: workerIdField,
  capabilities: capabilitiesField
    .default([])
    .describe("What this worker can do; those it is registered with count too."),
  maxTasks: z.int32().min(1).max(MAX_BATCH).default(1).describe("At most this many."),
  leaseMs: leaseMsField.default(30_000),
  waitMs: durationMs(0, 30_000, "How long to wait for work when there is none, in milliseconds.").default(0),
});
export type LeaseTasksRequest = z.output<typeof LeaseTasksRequest>;
export const LeaseTasksResponse = message(
  "LeaseTasksResponse",
  "The tasks, most urgent first; none if there was no work in time.",
  {
    tasks: z.array(Task).describe("Each carries its fence."),
  },
);

const heldTask = { namespace: namespaceField, taskId: taskIdField, fence: fenceField };

export const HeartbeatTaskRequest = message("HeartbeatTaskRequest", "Says that the worker is alive.", {
  ...heldTask,
  leaseMs: leaseMsField.default(30_000).describe("The lease lasts this long from now on, in milliseconds."),
  progress: TaskProgress.optional().describe("How far the work is; kept with the task."),
});
export const HeartbeatTaskResponse = message("HeartbeatTaskResponse", "The lease goes on.", {
  leaseExpiresAt: instant("When it ends without another heartbeat."),
});

const resultField = json("What came of the work, limited in size like a payload; null counts as none.").optional();
export const CompleteTaskRequest = message("CompleteTaskRequest", "Says that the work is done.", {
  ...heldTask,
  result: resultField,
});
export const CompleteTaskResponse = message(
  "CompleteTaskResponse",
  "The task as it is recorded, also when it was completed under this fence before.",
  {
    task: Task.describe("The task."),
  },
);

export const TaskCompletion = message("TaskCompletion", "One task that is done.", {
  taskId: taskIdField,
  fence: fenceField,
  result: resultField,
});
export const BatchCompleteTasksRequest = message(
  "BatchCompleteTasksRequest",
  "Says that several tasks are done; each is decided for itself.",
  {
    namespace: namespaceField,
    completions: z.array(TaskCompletion).min(1).max(MAX_BATCH).describe(`1 to ${MAX_BATCH} completions.`),
  },
);
export const CompletionOutcome = enumeration("CompletionOutcome", "What became of a completion.", {
  COMPLETED: "The task is done, by this completion or an earlier one under the same fence.",
  LEASE_LOST: "The fence does not hold the task any more; nothing was changed.",
  NOT_FOUND: "There is no such task.",
});
export const CompletionResult = message("CompletionResult", "What became of one completion.", {
  taskId: z.string().describe("The task."),
  outcome: CompletionOutcome.describe(
    "LEASE_LOST where the fence is not the task's latest or the task is not leased; it changed nothing.",
  ),
});
export const BatchCompleteTasksResponse = message(
  "BatchCompleteTasksResponse",
  "One entry for each completion, in the order given.",
  {
    results: z.array(CompletionResult).describe("One entry for each completion."),
  },
);

export const FailTaskRequest = message("FailTaskRequest", "Says that the attempt failed.", {
  ...heldTask,
  error: TaskError.describe("What went wrong."),
  retryable: z.boolean().default(true).describe("False sends it to the dead letters at once."),
  retryAfterMs: durationMs(0, 30 * DAY_MS, "Overrules the retry policy's wait, in milliseconds.").optional(),
});
export const FailTaskResponse = message(
  "FailTaskResponse",
  "The task as it stands: READY or SCHEDULED for another attempt, or DEAD_LETTERED.",
  {
    task: Task.describe("The task."),
  },
);

export const ReleaseTaskRequest = message(
  "ReleaseTaskRequest",
  "Gives the task back untried; the attempt does not count.",
  {
    ...heldTask,
    delayMs: durationMs(0, 30 * DAY_MS, "Others get it after this long, in milliseconds.").default(0),
  },
);
export const ReleaseTaskResponse = message("ReleaseTaskResponse", "The task as it stands.", {
  task: Task.describe("The task."),
});

export const CancelTaskRequest = message("CancelTaskRequest", "Ends a task that is not final yet.", {
  namespace: namespaceField,
  taskId: taskIdField,
  fence: fenceField
    .optional()
    .describe("Cancels only if this is still the task's latest lease; absent cancels in any case."),
});
export const CancelTaskResponse = message("CancelTaskResponse", "The task as it stands.", {
  task: Task.describe("The task."),
});

export const GetTaskRequest = message("GetTaskRequest", "Asks for one task.", {
  namespace: namespaceField,
  taskId: taskIdField,
});
export const GetTaskResponse = message("GetTaskResponse", "The task.", { task: Task.describe("The task.") });

export const taskFilterShape = {
  queue: queueField.optional(),
  kind: identifier(200).optional().describe("Only tasks of this kind."),
  createdAfter: instant("Only tasks enqueued at or after this time.").optional(),
  createdBefore: instant("Only tasks enqueued before this time.").optional(),
  labels: labelsField.default({}).describe("Only tasks that have all of these labels."),
};

export const ListTasksRequest = message("ListTasksRequest", "Asks for a page of tasks, newest first.", {
  namespace: namespaceField,
  ...taskFilterShape,
  states: z
    .array(TaskState)
    .max(TASK_STATES.length)
    .default([])
    .describe("Only tasks in one of these states; none means all."),
  workerId: workerIdField.optional().describe("Only tasks that this worker holds or completed."),
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListTasksRequest = z.output<typeof ListTasksRequest>;
export const ListTasksResponse = message("ListTasksResponse", "A page of tasks.", {
  tasks: z
    .array(Task)
    .describe(
      "Newest first. A page may be short, or even empty, where few tasks match; nextPageToken alone says whether more may come.",
    ),
  nextPageToken: z.string().optional().describe("Give it as pageToken to go on; absent on the last page."),
});

export const DeadLetterFilter = {
  namespace: namespaceField,
  taskId: taskIdField.optional().describe("Only this task."),
  ...taskFilterShape,
  errorType: text(200).optional().describe("Only tasks whose latest failure has this type, e.g. LEASE_EXPIRED."),
  limit: z.int32().min(1).max(10_000).default(1000).describe("At most this many, oldest first."),
};
export const ListDeadLettersRequest = message(
  "ListDeadLettersRequest",
  "Asks for a page of dead letters, newest first.",
  {
    namespace: namespaceField,
    ...taskFilterShape,
    errorType: DeadLetterFilter.errorType,
    pageSize: pageSizeField,
    pageToken: pageTokenField,
  },
);
export const ListDeadLettersResponse = message("ListDeadLettersResponse", "A page of dead letters.", {
  tasks: z
    .array(Task)
    .describe(
      "Each with its failures. A page may be short, or even empty, where few match; nextPageToken alone says whether more may come.",
    ),
  nextPageToken: z.string().optional().describe("Give it as pageToken to go on; absent on the last page."),
});
export const RedriveDeadLettersRequest = message(
  "RedriveDeadLettersRequest",
  "Sends dead letters back to their queues with all their attempts before them.",
  DeadLetterFilter,
);
export const RedriveDeadLettersResponse = message("RedriveDeadLettersResponse", "What was sent back.", {
  redriven: z.int32().describe("How many. As many as the limit means there may be more."),
});
export const PurgeDeadLettersRequest = message(
  "PurgeDeadLettersRequest",
  "Deletes dead letters for good.",
  DeadLetterFilter,
);
export const PurgeDeadLettersResponse = message("PurgeDeadLettersResponse", "What was deleted.", {
  purged: z.int32().describe("How many. As many as the limit means there may be more."),
});

export const TaskEventType = enumeration("TaskEventType", "What happened to a task.", {
  ENQUEUED: "It was stored.",
  READY: "Its time came, and it waits for a worker.",
  LEASED: "A worker got it.",
  COMPLETED: "It was done.",
  FAILED: "An attempt failed, and another follows.",
  EXPIRED: "An attempt's lease or execution time ran out, and another follows.",
  RELEASED: "It was given back with its attempt uncounted.",
  DEAD_LETTERED: "It failed for good.",
  CANCELLED: "It was ended before it was done.",
  REDRIVEN: "It was sent back from the dead letters.",
});
export const TaskEvent = message("TaskEvent", "One change of a task's state.", {
  namespace: z.string().describe("The namespace it belongs to."),
  taskId: z.string().describe("The task."),
  queue: z.string().describe("Its queue."),
  kind: z.string().describe("Its kind."),
  type: TaskEventType.describe(
    "What happened. FAILED and EXPIRED are followed by another attempt; DEAD_LETTERED is not.",
  ),
  state: TaskState.describe("The state it has since."),
  attempt: z.int32().describe("Attempts begun so far."),
  fence: z.int().describe("The fencing token of its latest lease."),
  workerId: z.string().optional().describe("The worker that was part of it."),
  occurredAt: instant("When."),
});
export type TaskEvent = z.output<typeof TaskEvent>;
export const WatchTasksRequest = message("WatchTasksRequest", "Asks for changes as they happen.", {
  namespace: namespaceField,
  queue: queueField.optional(),
  taskId: taskIdField.optional(),
  types: z.array(TaskEventType).max(10).default([]).describe("Only these; none means all."),
  cursor: z
    .string()
    .max(2048)
    .optional()
    .describe(
      "Goes on after the message that carried this cursor, without a gap; absent begins now, and the first message says where that is.",
    ),
});
export type WatchTasksRequest = z.output<typeof WatchTasksRequest>;
export const WatchTasksResponse = message("WatchTasksResponse", "One change, or where the stream begins.", {
  cursor: z.string().describe("Give it back to go on after this message."),
  event: TaskEvent.describe(
    "What happened. Absent only in the first message of a watch that was asked for without a cursor: it says where the watch begins.",
  ).optional(),
});
export type WatchTasksResponse = z.output<typeof WatchTasksResponse>;
