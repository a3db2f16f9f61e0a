import { createHash } from "node:crypto";
import { z } from "zod";
import type { Call, NamespaceQuotas } from "../../core/call.ts";
import { AppError, invalidArgument, notFound, quotaExceeded } from "../../core/errors.ts";
import { canonicalJson, jsonSizeBytes } from "../../core/json.ts";
import { createPageTokens } from "../../core/page.ts";
import type { Queryable } from "../../platform/postgres/database.ts";
import { cancelTask } from "./store/end-attempt.ts";
import {
  findByIdempotencyKeys,
  insertTasks,
  insertWholeTask,
  type StoredTask,
  type TaskDraft,
} from "./store/enqueue.ts";
import { addLanes, type Lane, laneOf, missingLanes } from "./store/lanes.ts";
import { listTasks, listTasksOfQueues } from "./store/list.ts";
import { lockQuotas, readQueueUsage } from "./store/queues.ts";
import { type DeadLetterFilter, getTask, getTasks, purgeDeadLetters, redriveDeadLetters } from "./store/read.ts";
import type { TaskFilter } from "./store/task-filter.ts";
import { taskFromRow } from "./store/task-row.ts";
import { announce, announceRoom, readyByQueue, TASK_LEASES, type TaskContext } from "./task-context.ts";
import { leaseLost } from "./task-errors.ts";
import { MAX_BATCH, type NewTask, type Task, type TaskState } from "./task-model.ts";

const BYTES_PER_MB = 1024 * 1024;
/**
 * Closer to a quota than this, enqueues of a namespace take turns, so that together they cannot pass
 * it: as much as a hundred of the biggest enqueues, which may all be under way when one of them looks.
 */
const QUOTA_MARGIN_TASKS = 100 * MAX_BATCH;
const QUOTA_MARGIN_BYTES = 100 * 16 * BYTES_PER_MB;
const PLACE = z.strictObject({ after: z.uuid() });

/** What clients of the queue ask for: new tasks, and what became of them. */
export interface TaskService {
  enqueue(
    input: { namespace: string; queue: string } & NewTask,
    call: Call,
  ): Promise<{ task: Task; duplicate: boolean }>;
  batchEnqueue(
    input: { namespace: string; queue: string; tasks: readonly NewTask[] },
    call: Call,
  ): Promise<{ tasks: EnqueuedTask[] }>;
  get(namespace: string, taskId: string): Promise<Task>;
  /** Those of the tasks that are there, in no order. */
  getMany(namespace: string, taskIds: readonly string[]): Promise<Task[]>;
  /** The newest tasks of each queue, at most `limit` of each. */
  listOfQueues(
    namespace: string,
    queues: readonly string[],
    states: readonly TaskState[],
    limit: number,
  ): Promise<Task[]>;
  list(
    namespace: string,
    filter: TaskFilter,
    page: PageRequest,
  ): Promise<{ tasks: Task[]; nextPageToken: string | undefined }>;
  /** Ends a task that is not final. FAILED_PRECONDITION where it is, ABORTED where `fence` is named and not its latest. */
  cancel(namespace: string, taskId: string, fence: number | undefined): Promise<Task>;
  redrive(namespace: string, filter: DeadLetterFilter, limit: number): Promise<number>;
  purge(namespace: string, filter: DeadLetterFilter, limit: number): Promise<number>;
}

interface EnqueuedTask {
  taskId: string;
  state: StoredTask["state"];
  duplicate: boolean;
}

interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string | undefined;
}

export function createTaskService(context: TaskContext): TaskService {
  const { database, leases } = context;

  return {
    async enqueue({ namespace, queue, ...task }, call) {
      const draft = draftTask(context, queue, task, "");
      const isPlain = draft.idempotencyHash === undefined && !hasQuota(call.namespace?.quotas);
      if (isPlain && (await newLanes(database, namespace, [draft])).length === 0) {
        const row = await insertWholeTask(database, namespace, draft);
        announceEnqueued(context, namespace, [row]);
        return { task: taskFromRow(row), duplicate: false };
      }
      const [stored] = await enqueueDrafts(context, namespace, [draft], call);
      const row = await getTask(database, namespace, stored!.taskId);
      if (row === undefined) throw notFound("task", stored!.taskId);
      return { task: taskFromRow(row), duplicate: stored!.duplicate };
    },

    async batchEnqueue({ namespace, queue, tasks }, call) {
      const drafts = tasks.map((task, index) => draftTask(context, queue, task, `tasks[${index}].`));
      return { tasks: await enqueueDrafts(context, namespace, drafts, call) };
    },

    async get(namespace, taskId) {
      const row = await getTask(database, namespace, taskId);
      if (row === undefined) throw notFound("task", taskId);
      return taskFromRow(row);
    },

    getMany: async (namespace, taskIds) => (await getTasks(database, namespace, taskIds)).map(taskFromRow),
    listOfQueues: async (namespace, queues, states, limit) =>
      (await listTasksOfQueues(database, namespace, queues, states, limit)).map(taskFromRow),

    async list(namespace, filter, { pageSize, pageToken }) {
      const tokens = createPageTokens(PLACE, ["tasks.list", namespace, filter]);
      const place = tokens.decode(pageToken);
      const { rows, next } = await listTasks(database, namespace, filter, { after: place?.after, size: pageSize });
      return {
        tasks: rows.map(taskFromRow),
        nextPageToken: next === undefined ? undefined : tokens.encode({ after: next }),
      };
    },

    async cancel(namespace, taskId, fence) {
      const row = await cancelTask(database, namespace, taskId, fence);
      if (row === undefined) {
        const task = await getTask(database, namespace, taskId);
        if (task === undefined || (fence !== undefined && task.fence !== fence))
          throw leaseLost(task, taskId, fence ?? 0);
        // A repeated cancel answers as the first did.
        if (task.state === "CANCELLED") return taskFromRow(task);
        throw new AppError(
          "FAILED_PRECONDITION",
          "TASK_FINAL",
          `Task "${taskId}" is ${task.state} already and cannot be cancelled.`,
        );
      }
      await leases.release(TASK_LEASES, namespace, [{ key: taskId, fence: row.fence }]);
      announce(context, namespace, []);
      announceRoom(context, namespace, [row.queue]);
      return taskFromRow(row);
    },

    async redrive(namespace, filter, limit) {
      const queues = await redriveDeadLetters(database, namespace, filter, limit);
      announce(context, namespace, queues);
      return queues.reduce((sum, { count }) => sum + count, 0);
    },

    async purge(namespace, filter, limit) {
      return await purgeDeadLetters(database, namespace, filter, limit);
    },
  };
}

function draftTask(context: TaskContext, queue: string, task: NewTask, path: string): TaskDraft {
  const sizeBytes = jsonSizeBytes(task.payload);
  if (sizeBytes > context.maxPayloadBytes) {
    const message = `is ${sizeBytes} bytes as JSON; at most ${context.maxPayloadBytes} are allowed. Store it elsewhere and enqueue where it is`;
    throw invalidArgument([{ field: `${path}payload`, message }]);
  }
  if (task.retryPolicy.maxBackoffMs < task.retryPolicy.initialBackoffMs) {
    throw invalidArgument([
      { field: `${path}retryPolicy.maxBackoffMs`, message: "must not be less than initialBackoffMs" },
    ]);
  }
  const idempotencyHash =
    task.idempotencyKey === undefined
      ? undefined
      : createHash("sha256").update(canonicalJson({ queue, task })).digest("base64url");
  return { id: context.ids.uuid(), queue, task, sizeBytes, idempotencyHash };
}

function hasQuota(quotas: NamespaceQuotas | undefined): boolean {
  return quotas?.maxQueueDepth !== undefined || quotas?.maxStorageMb !== undefined;
}

/** Stores all drafts or none, and answers one entry for each in their order. */
async function enqueueDrafts(
  context: TaskContext,
  namespace: string,
  drafts: readonly TaskDraft[],
  call: Call,
): Promise<EnqueuedTask[]> {
  const { database } = context;
  const quotas = call.namespace?.quotas ?? {};
  const keyed = drafts.some((draft) => draft.idempotencyHash !== undefined);
  const lanes = await newLanes(database, namespace, drafts);
  const { inserted, found } =
    keyed || hasQuota(quotas) || lanes.length > 0
      ? await database.transaction(async (transaction) => {
          const found = keyed ? await findDuplicates(transaction, namespace, drafts) : new Map<string, StoredTask>();
          const fresh = firstOfEachKey(drafts.filter((draft) => !found.has(draft.task.idempotencyKey ?? "")));
          if (fresh.length > 0) await checkQuotas(transaction, namespace, fresh, quotas);
          await addLanes(transaction, namespace, drafts[0]!.queue, lanes);
          const inserted = fresh.length > 0 ? await insertTasks(transaction, namespace, fresh) : [];
          // Another transaction stored one of the keys meanwhile: compare with what it stored.
          if (inserted.length < fresh.length) {
            for (const [key, task] of await findDuplicates(transaction, namespace, drafts)) found.set(key, task);
            if (fresh.some(({ task }) => task.idempotencyKey !== undefined && !found.has(task.idempotencyKey)))
              throw enqueueRaced();
          }
          return { inserted, found };
        })
      : { inserted: await insertTasks(database, namespace, drafts), found: new Map<string, StoredTask>() };

  announceEnqueued(context, namespace, inserted);
  const byId = new Map(inserted.map((task) => [task.id, task]));
  const byKey = new Map(found);
  return drafts.map((draft) => {
    const key = draft.task.idempotencyKey;
    const stored = byId.get(draft.id);
    if (stored && key !== undefined) byKey.set(key, stored);
    const task = stored ?? byKey.get(key ?? "")!;
    return { taskId: task.id, state: task.state, duplicate: stored === undefined };
  });
}

/** The lanes of the drafts, which are all of one queue, that it does not have yet: it may have only so many. */
function newLanes(queryable: Queryable, namespace: string, drafts: readonly TaskDraft[]): Promise<Lane[]> {
  const lanes = drafts.map(({ task }) => laneOf(task.requiredCapabilities));
  return missingLanes(queryable, namespace, drafts[0]!.queue, lanes);
}

/** Drafts with the same key and the same task are one. */
function firstOfEachKey(drafts: readonly TaskDraft[]): TaskDraft[] {
  const seen = new Map<string, TaskDraft>();
  return drafts.filter((draft) => {
    const key = draft.task.idempotencyKey;
    if (key === undefined) return true;
    const first = seen.get(key);
    if (first === undefined) {
      seen.set(key, draft);
      return true;
    }
    if (first.idempotencyHash !== draft.idempotencyHash) throw keyReused(key);
    return false;
  });
}

async function findDuplicates(
  queryable: Queryable,
  namespace: string,
  drafts: readonly TaskDraft[],
): Promise<Map<string, StoredTask>> {
  const keys = drafts.flatMap(({ task }) => task.idempotencyKey ?? []);
  const found = await findByIdempotencyKeys(queryable, namespace, keys);
  for (const draft of drafts) {
    const stored = found.get(draft.task.idempotencyKey ?? "");
    if (stored && stored.idempotency_hash !== draft.idempotencyHash) throw keyReused(draft.task.idempotencyKey!);
  }
  return found;
}

function keyReused(key: string): AppError {
  return new AppError(
    "ALREADY_EXISTS",
    "IDEMPOTENCY_KEY_REUSED",
    `There is another task under the idempotency key "${key}". Use a new key for a new task, or repeat the first request as it was.`,
    { details: { metadata: { idempotencyKey: key } } },
  );
}

function enqueueRaced(): AppError {
  return new AppError(
    "ABORTED",
    "ENQUEUE_RACED",
    "A task under the same idempotency key was deleted meanwhile. Send the request again.",
    {
      retryAfterMs: 0,
    },
  );
}

async function checkQuotas(
  queryable: Queryable,
  namespace: string,
  drafts: readonly TaskDraft[],
  quotas: NamespaceQuotas,
): Promise<void> {
  const { maxQueueDepth, maxStorageMb } = quotas;
  if (maxQueueDepth === undefined && maxStorageMb === undefined) return;
  const queue = drafts[0]!.queue;
  const sizeBytes = drafts.reduce((sum, draft) => sum + draft.sizeBytes, 0);
  const roomOf = async () => {
    const usage = await readQueueUsage(queryable, namespace, queue);
    return {
      tasks: (maxQueueDepth ?? Number.POSITIVE_INFINITY) - usage.waiting - drafts.length,
      bytes: (maxStorageMb ?? Number.POSITIVE_INFINITY) * BYTES_PER_MB - usage.stored_bytes - sizeBytes,
    };
  };
  let room = await roomOf();
  if (room.tasks < QUOTA_MARGIN_TASKS || room.bytes < QUOTA_MARGIN_BYTES) {
    await lockQuotas(queryable, namespace);
    room = await roomOf();
  }
  if (room.tasks < 0) {
    throw quotaExceeded(
      namespace,
      "maxQueueDepth",
      `Queue "${queue}" may hold ${maxQueueDepth} waiting tasks, and these ${drafts.length} would pass that. Let workers catch up, or raise maxQueueDepth.`,
    );
  }
  if (room.bytes < 0) {
    throw quotaExceeded(
      namespace,
      "maxStorageMb",
      `Namespace "${namespace}" may store ${maxStorageMb} MB, and this would pass that. Purge dead letters, wait for old tasks to be deleted, or raise maxStorageMb.`,
    );
  }
}

function announceEnqueued(context: TaskContext, namespace: string, tasks: readonly StoredTask[]): void {
  for (const task of tasks)
    if (task.state === "SCHEDULED") context.scheduled(task.run_at.getTime() - context.clock.now());
  announce(context, namespace, readyByQueue(tasks));
}
