import { operation } from "../../core/operation.ts";
import * as model from "./worker-model.ts";
import type { WorkerService } from "./worker-service.ts";

interface Workers {
  readonly workers: WorkerService;
}

const oneWorker = "/v1/namespaces/{namespace}/workers/{workerId}";

export const registerWorker = operation({
  name: "workers.register",
  summary: "Makes a worker known with its capabilities, or replaces what is known of it.",
  rest: `PUT ${oneWorker}`,
  grpc: "WorkerService/RegisterWorker",
  graphql: "mutation registerWorker",
  permission: "workers.register",
  input: model.RegisterWorkerRequest,
  output: model.RegisterWorkerResponse,
  handle: async ({ workers }: Workers, input) => ({ worker: await workers.register(input) }),
});

export const heartbeatWorker = operation({
  name: "workers.heartbeat",
  summary: "Says that a worker is alive, and answers whether it should drain.",
  rest: `POST ${oneWorker}:heartbeat`,
  grpc: "WorkerService/HeartbeatWorker",
  graphql: "mutation heartbeatWorker",
  permission: "workers.register",
  input: model.HeartbeatWorkerRequest,
  output: model.HeartbeatWorkerResponse,
  handle: ({ workers }: Workers, { namespace, workerId }) => workers.heartbeat(namespace, workerId),
});

export const getWorker = operation({
  name: "workers.get",
  summary: "Answers one worker and what it holds.",
  rest: `GET ${oneWorker}`,
  grpc: "WorkerService/GetWorker",
  graphql: "query worker",
  permission: "workers.read",
  input: model.GetWorkerRequest,
  output: model.GetWorkerResponse,
  handle: async ({ workers }: Workers, { namespace, workerId }) => ({
    worker: await workers.get(namespace, workerId),
    tasks: await workers.heldTasks(namespace, [workerId]),
  }),
});

export const listWorkers = operation({
  name: "workers.list",
  summary: "Answers a page of workers, by name.",
  rest: "GET /v1/namespaces/{namespace}/workers",
  grpc: "WorkerService/ListWorkers",
  graphql: "query workers",
  permission: "workers.read",
  input: model.ListWorkersRequest,
  output: model.ListWorkersResponse,
  handle: ({ workers }: Workers, { namespace, pageSize, pageToken }) =>
    workers.list(namespace, { pageSize, pageToken }),
});

export const drainWorker = operation({
  name: "workers.drain",
  summary: "Gives a worker no new work; what it holds goes on.",
  rest: `POST ${oneWorker}:drain`,
  grpc: "WorkerService/DrainWorker",
  graphql: "mutation drainWorker",
  permission: "workers.manage",
  input: model.DrainWorkerRequest,
  output: model.DrainWorkerResponse,
  handle: async ({ workers }: Workers, { namespace, workerId }) => ({
    worker: await workers.drain(namespace, workerId),
  }),
});

export const deregisterWorker = operation({
  name: "workers.deregister",
  summary: "Forgets a worker; what it still holds goes back when its leases end.",
  rest: `DELETE ${oneWorker}`,
  grpc: "WorkerService/DeregisterWorker",
  graphql: "mutation deregisterWorker",
  permission: "workers.register",
  input: model.DeregisterWorkerRequest,
  output: model.DeregisterWorkerResponse,
  handle: async ({ workers }: Workers, { namespace, workerId }) => {
    await workers.deregister(namespace, workerId);
    return {};
  },
});
