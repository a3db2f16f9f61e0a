import { operation } from "../../core/operation.ts";
import * as model from "./queue-model.ts";
import type { QueueService } from "./queue-service.ts";

interface Queues {
  readonly queues: QueueService;
}

const oneQueue = "/v1/namespaces/{namespace}/queues/{queue}";

/** 0 takes a limit away, which the store knows as null. */
const limitOrNone = (limit: number | undefined) => (limit === 0 ? null : limit);

export const getQueue = operation({
  name: "queues.get",
  summary: "Answers one queue and its settings.",
  rest: `GET ${oneQueue}`,
  grpc: "QueueService/GetQueue",
  graphql: "query queue",
  permission: "queues.read",
  input: model.GetQueueRequest,
  output: model.GetQueueResponse,
  handle: async ({ queues }: Queues, { namespace, queue }) => ({ queue: await queues.get(namespace, queue) }),
});

export const listQueues = operation({
  name: "queues.list",
  summary: "Answers a page of queues, by name.",
  rest: "GET /v1/namespaces/{namespace}/queues",
  grpc: "QueueService/ListQueues",
  graphql: "query queues",
  permission: "queues.read",
  input: model.ListQueuesRequest,
  output: model.ListQueuesResponse,
  handle: ({ queues }: Queues, { namespace, pageSize, pageToken }) => queues.list(namespace, { pageSize, pageToken }),
});

export const getQueueStats = operation({
  name: "queues.stats",
  summary: "Answers a queue's depth by state and priority, its oldest waiting task and its throughput.",
  rest: `GET ${oneQueue}/stats`,
  grpc: "QueueService/GetQueueStats",
  graphql: "query queueStats",
  permission: "queues.read",
  input: model.GetQueueStatsRequest,
  output: model.GetQueueStatsResponse,
  handle: ({ queues }: Queues, { namespace, queue }) => queues.stats(namespace, queue),
});

export const updateQueue = operation({
  name: "queues.update",
  summary: "Changes a queue's limits and ageing; what is absent stays.",
  rest: `PATCH ${oneQueue}`,
  grpc: "QueueService/UpdateQueue",
  graphql: "mutation updateQueue",
  permission: "queues.manage",
  input: model.UpdateQueueRequest,
  output: model.UpdateQueueResponse,
  handle: async ({ queues }: Queues, { namespace, queue, maxConcurrency, maxConcurrencyPerKey, agingMs }) => ({
    queue: await queues.update(namespace, queue, {
      maxConcurrency: limitOrNone(maxConcurrency),
      maxConcurrencyPerKey: limitOrNone(maxConcurrencyPerKey),
      agingMs,
    }),
  }),
});

export const pauseQueue = operation({
  name: "queues.pause",
  summary: "Stops leasing from a queue; enqueueing and work under way go on.",
  rest: `POST ${oneQueue}:pause`,
  grpc: "QueueService/PauseQueue",
  graphql: "mutation pauseQueue",
  permission: "queues.manage",
  input: model.PauseQueueRequest,
  output: model.PauseQueueResponse,
  handle: async ({ queues }: Queues, { namespace, queue, reason }) => ({
    queue: await queues.setPaused(namespace, queue, true, reason),
  }),
});

export const resumeQueue = operation({
  name: "queues.resume",
  summary: "Lets a paused queue go on.",
  rest: `POST ${oneQueue}:resume`,
  grpc: "QueueService/ResumeQueue",
  graphql: "mutation resumeQueue",
  permission: "queues.manage",
  input: model.ResumeQueueRequest,
  output: model.ResumeQueueResponse,
  handle: async ({ queues }: Queues, { namespace, queue }) => ({
    queue: await queues.setPaused(namespace, queue, false, undefined),
  }),
});
