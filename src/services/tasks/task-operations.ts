import { bidi, operation, serverStream } from "../../core/operation.ts";
import type { ExecutionService } from "./execution-service.ts";
import * as model from "./task-model.ts";
import type { TaskService } from "./task-service.ts";
import type { TaskWatch } from "./task-watch.ts";
import type { WorkSession } from "./work-session.ts";
import { WorkRequest, WorkResponse } from "./work-session-model.ts";

interface Tasks {
  readonly tasks: TaskService;
}
interface Executions {
  readonly executions: ExecutionService;
}

const inQueue = "/v1/namespaces/{namespace}/queues/{queue}";
const inNamespace = "/v1/namespaces/{namespace}";
const oneTask = `${inNamespace}/tasks/{taskId}`;

const FENCED =
  "Names the fence of the lease; a stale one is refused with ABORTED, reason LEASE_LOST, and changes nothing.";

export const enqueueTask = operation({
  name: "tasks.enqueue",
  summary: "Enqueues one task.",
  description: "It is durable when this answers. Quotas: RESOURCE_EXHAUSTED, reason QUOTA_EXCEEDED.",
  rest: `POST ${inQueue}/tasks`,
  grpc: "TaskService/EnqueueTask",
  graphql: "mutation enqueueTask",
  permission: "tasks.enqueue",
  input: model.EnqueueTaskRequest,
  output: model.EnqueueTaskResponse,
  handle: ({ tasks }: Tasks, input, call) => tasks.enqueue(input, call),
});

export const batchEnqueueTasks = operation({
  name: "tasks.batchEnqueue",
  summary: "Enqueues several tasks in one queue: all of them or none.",
  rest: `POST ${inQueue}/tasks:batchEnqueue`,
  grpc: "TaskService/BatchEnqueueTasks",
  graphql: "mutation batchEnqueueTasks",
  permission: "tasks.enqueue",
  input: model.BatchEnqueueTasksRequest,
  output: model.BatchEnqueueTasksResponse,
  handle: ({ tasks }: Tasks, input, call) => tasks.batchEnqueue(input, call),
});

export const leaseTasks = operation({
  name: "tasks.lease",
  summary: "Claims up to maxTasks ready tasks for one worker.",
  description:
    "The most urgent come first: by priority, then by runAt, then by age, where waiting for the queue's agingMs counts like one level of priority. With waitMs the call waits for the first task.",
  rest: `POST ${inQueue}/tasks:lease`,
  grpc: "TaskService/LeaseTasks",
  graphql: "mutation leaseTasks",
  permission: "tasks.lease",
  input: model.LeaseTasksRequest,
  output: model.LeaseTasksResponse,
  async handle({ executions }: Executions, input, call) {
    const tasks = await executions.lease(input, call);
    const release = ({ taskId, fence }: model.Task) =>
      executions.release({ namespace: input.namespace, taskId, fence, delayMs: 0 });
    // Nobody would work on them until their leases ended.
    call.onUndelivered(() => Promise.allSettled(tasks.map(release)));
    return { tasks };
  },
});

export const heartbeatTask = operation({
  name: "tasks.heartbeat",
  summary: "Extends the lease of a task.",
  description: FENCED,
  rest: `POST ${oneTask}:heartbeat`,
  grpc: "TaskService/HeartbeatTask",
  graphql: "mutation heartbeatTask",
  permission: "tasks.lease",
  input: model.HeartbeatTaskRequest,
  output: model.HeartbeatTaskResponse,
  handle: async ({ executions }: Executions, input) => ({ leaseExpiresAt: await executions.heartbeat(input) }),
});

export const completeTask = operation({
  name: "tasks.complete",
  summary: "Records that a task is done.",
  description: `${FENCED} A repeated completion under the same fence answers as the first did.`,
  rest: `POST ${oneTask}:complete`,
  grpc: "TaskService/CompleteTask",
  graphql: "mutation completeTask",
  permission: "tasks.lease",
  input: model.CompleteTaskRequest,
  output: model.CompleteTaskResponse,
  handle: async ({ executions }: Executions, input) => ({ task: await executions.complete(input) }),
});

export const batchCompleteTasks = operation({
  name: "tasks.batchComplete",
  summary: "Records that several tasks are done; each is decided for itself.",
  rest: `POST ${inNamespace}/tasks:batchComplete`,
  grpc: "TaskService/BatchCompleteTasks",
  graphql: "mutation batchCompleteTasks",
  permission: "tasks.lease",
  input: model.BatchCompleteTasksRequest,
  output: model.BatchCompleteTasksResponse,
  handle: async ({ executions }: Executions, { namespace, completions }) => {
    const outcomes = await executions.batchComplete(namespace, completions);
    return { results: completions.map(({ taskId }, index) => ({ taskId, outcome: outcomes[index]! })) };
  },
});

export const failTask = operation({
  name: "tasks.fail",
  summary: "Records that an attempt failed; the task is tried again or becomes a dead letter.",
  description: FENCED,
  rest: `POST ${oneTask}:fail`,
  grpc: "TaskService/FailTask",
  graphql: "mutation failTask",
  permission: "tasks.lease",
  input: model.FailTaskRequest,
  output: model.FailTaskResponse,
  handle: async ({ executions }: Executions, input) => ({ task: await executions.fail(input) }),
});

export const releaseTask = operation({
  name: "tasks.release",
  summary: "Gives a leased task back untried.",
  description: FENCED,
  rest: `POST ${oneTask}:release`,
  grpc: "TaskService/ReleaseTask",
  graphql: "mutation releaseTask",
  permission: "tasks.lease",
  input: model.ReleaseTaskRequest,
  output: model.ReleaseTaskResponse,
  handle: async ({ executions }: Executions, input) => ({ task: await executions.release(input) }),
});

export const cancelTask = operation({
  name: "tasks.cancel",
  summary: "Ends a task that is not final.",
  description:
    "Its worker learns of it at its next heartbeat. FAILED_PRECONDITION, reason TASK_FINAL, where it has ended already.",
  rest: `POST ${oneTask}:cancel`,
  grpc: "TaskService/CancelTask",
  graphql: "mutation cancelTask",
  permission: "tasks.cancel",
  input: model.CancelTaskRequest,
  output: model.CancelTaskResponse,
  handle: async ({ tasks }: Tasks, { namespace, taskId, fence }) => ({
    task: await tasks.cancel(namespace, taskId, fence),
  }),
});

export const getTask = operation({
  name: "tasks.get",
  summary: "Answers one task.",
  rest: `GET ${oneTask}`,
  grpc: "TaskService/GetTask",
  graphql: "query task",
  permission: "tasks.read",
  input: model.GetTaskRequest,
  output: model.GetTaskResponse,
  handle: async ({ tasks }: Tasks, { namespace, taskId }) => ({ task: await tasks.get(namespace, taskId) }),
});

export const listTasks = operation({
  name: "tasks.list",
  summary: "Answers a page of tasks, newest first.",
  rest: `GET ${inNamespace}/tasks`,
  grpc: "TaskService/ListTasks",
  graphql: "query tasks",
  permission: "tasks.read",
  input: model.ListTasksRequest,
  output: model.ListTasksResponse,
  handle: ({ tasks }: Tasks, { namespace, pageSize, pageToken, ...filter }) =>
    tasks.list(namespace, filter, { pageSize, pageToken }),
});

export const watchTasks = serverStream({
  name: "tasks.watch",
  summary: "Streams changes of tasks as they happen.",
  description:
    "Each message carries a cursor, the first one of a watch without a cursor nothing else; a watcher that comes back with its last one misses nothing, as long as events are kept. FAILED_PRECONDITION, reason CURSOR_EXPIRED, after that.",
  rest: `GET ${inNamespace}/tasks:watch`,
  grpc: "TaskService/WatchTasks",
  graphql: "subscription watchTasks",
  permission: "tasks.read",
  cursor: { output: "cursor", input: "cursor" },
  input: model.WatchTasksRequest,
  output: model.WatchTasksResponse,
  handle: ({ watch }: { readonly watch: TaskWatch }, input, call) => watch(input, call),
});

export const work = bidi({
  name: "tasks.work",
  summary: "Opens a worker's session: tasks come, heartbeats and results go, over one stream.",
  description:
    "The first command is `start`. The unary LeaseTasks, HeartbeatTask, CompleteTask, FailTask and ReleaseTask do the same.",
  grpc: "TaskService/Work",
  permission: "tasks.lease",
  input: WorkRequest,
  output: WorkResponse,
  handle: ({ work }: { readonly work: WorkSession }, requests, call) => work(requests, call),
});

const DEAD_LETTERED = ["DEAD_LETTERED"] as const;

export const listDeadLetters = operation({
  name: "deadLetters.list",
  summary: "Answers a page of dead letters, newest first, each with its failures.",
  rest: `GET ${inNamespace}/deadLetters`,
  grpc: "TaskService/ListDeadLetters",
  graphql: "query deadLetters",
  permission: "tasks.read",
  input: model.ListDeadLettersRequest,
  output: model.ListDeadLettersResponse,
  handle: ({ tasks }: Tasks, { namespace, pageSize, pageToken, ...filter }) =>
    tasks.list(namespace, { ...filter, states: DEAD_LETTERED }, { pageSize, pageToken }),
});

export const redriveDeadLetters = operation({
  name: "deadLetters.redrive",
  summary: "Sends dead letters back to their queues, one or all that match.",
  rest: `POST ${inNamespace}/deadLetters:redrive`,
  grpc: "TaskService/RedriveDeadLetters",
  graphql: "mutation redriveDeadLetters",
  permission: "tasks.redrive",
  input: model.RedriveDeadLettersRequest,
  output: model.RedriveDeadLettersResponse,
  handle: async ({ tasks }: Tasks, { namespace, limit, ...filter }) => ({
    redriven: await tasks.redrive(namespace, filter, limit),
  }),
});

export const purgeDeadLetters = operation({
  name: "deadLetters.purge",
  summary: "Deletes dead letters for good, one or all that match.",
  rest: `POST ${inNamespace}/deadLetters:purge`,
  grpc: "TaskService/PurgeDeadLetters",
  graphql: "mutation purgeDeadLetters",
  permission: "tasks.purge",
  input: model.PurgeDeadLettersRequest,
  output: model.PurgeDeadLettersResponse,
  handle: async ({ tasks }: Tasks, { namespace, limit, ...filter }) => ({
    purged: await tasks.purge(namespace, filter, limit),
  }),
});
