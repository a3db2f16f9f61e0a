import type { Edge } from "../../core/edge.ts";
import { Queue } from "./queue-model.ts";
import type { QueueService } from "./queue-service.ts";
import { Task, type TaskEvent, type TaskState } from "./task-model.ts";
import type { TaskService } from "./task-service.ts";
import { Worker } from "./worker-model.ts";
import type { WorkerService } from "./worker-service.ts";

/** Loads per namespace, because parents of one request may come from several. */
async function loadByNamespace<Parent extends { readonly namespace: string }, Value>(
  parents: readonly Parent[],
  load: (namespace: string, group: readonly Parent[]) => Promise<(parent: Parent) => Value>,
): Promise<Value[]> {
  const lookups = new Map<string, (parent: Parent) => Value>();
  for (const [namespace, group] of Map.groupBy(parents, (parent) => parent.namespace)) {
    lookups.set(namespace, await load(namespace, group));
  }
  return parents.map((parent) => lookups.get(parent.namespace)!(parent));
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];

const taskWorker: Edge<{ workers: WorkerService }, Task> = {
  type: "Task",
  field: "worker",
  description: "The worker that holds it or completed it, if it is registered.",
  returns: "Worker",
  schema: Worker,
  permission: "workers.read",
  load: ({ workers }, parents) =>
    loadByNamespace(parents, async (namespace, group) => {
      const ids = unique(group.flatMap((task) => task.workerId ?? []));
      const found = new Map((await workers.getMany(namespace, ids)).map((worker) => [worker.workerId, worker]));
      return (task) => found.get(task.workerId ?? "") ?? null;
    }),
};

const taskQueue: Edge<{ queues: QueueService }, Task> = {
  type: "Task",
  field: "queueSettings",
  description: "The queue it waits in.",
  returns: "Queue",
  schema: Queue,
  permission: "queues.read",
  load: ({ queues }, parents) =>
    loadByNamespace(parents, async (namespace, group) => {
      const names = unique(group.map((task) => task.queue));
      const found = new Map((await queues.getMany(namespace, names)).map((queue) => [queue.queue, queue]));
      return (task) => found.get(task.queue) ?? null;
    }),
};

const MAX_TASKS_OF_QUEUE = 100;

const queueTasks: Edge<{ tasks: TaskService }, Queue> = {
  type: "Queue",
  field: "tasks",
  description: `Its tasks, newest first, at most ${MAX_TASKS_OF_QUEUE}.`,
  returns: "[Task!]!",
  schema: Task,
  arguments: "states: [TaskState!] = [], pageSize: Int = 20",
  permission: "tasks.read",
  load: ({ tasks }, parents, args) =>
    loadByNamespace(parents, async (namespace, group) => {
      const pageSize = Math.min(Math.max(Number(args.pageSize), 1), MAX_TASKS_OF_QUEUE);
      const names = unique(group.map((queue) => queue.queue));
      const found = Map.groupBy(
        await tasks.listOfQueues(namespace, names, (args.states ?? []) as TaskState[], pageSize),
        (task) => task.queue,
      );
      return (queue) => found.get(queue.queue) ?? [];
    }),
};

const workerTasks: Edge<{ workers: WorkerService }, Worker> = {
  type: "Worker",
  field: "tasks",
  description: "The tasks it holds, oldest lease first.",
  returns: "[Task!]!",
  schema: Task,
  permission: "tasks.read",
  load: ({ workers }, parents) =>
    loadByNamespace(parents, async (namespace, group) => {
      const ids = unique(group.map((worker) => worker.workerId));
      const held = Map.groupBy(await workers.heldTasks(namespace, ids), (task) => task.workerId);
      return (worker) => held.get(worker.workerId) ?? [];
    }),
};

const eventTask: Edge<{ tasks: TaskService }, TaskEvent> = {
  type: "TaskEvent",
  field: "task",
  description: "The task as it is now; null once it has been deleted.",
  returns: "Task",
  schema: Task,
  permission: "tasks.read",
  load: ({ tasks }, parents) =>
    loadByNamespace(parents, async (namespace, group) => {
      const found = new Map(
        (await tasks.getMany(namespace, unique(group.map((event) => event.taskId)))).map((task) => [task.taskId, task]),
      );
      return (event) => found.get(event.taskId) ?? null;
    }),
};

/** The GraphQL relations of this domain. */
export const taskEdges = [taskWorker, taskQueue, queueTasks, workerTasks, eventTask] as const;
