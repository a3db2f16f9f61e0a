import type { Case } from "../harness/bench.ts";
import type { BenchGateway } from "../harness/gateway.ts";
import { askOnce } from "../load/callers.ts";
import type { HttpRequest } from "../load/http-connection.ts";
import { payload } from "../load/payload.ts";
import { runGrpcPair, runHttpPair } from "./pair.ts";

const AT_LEAST = 0.6;
const QUERY = `query ($namespace: String!, $taskId: ID!) { task(namespace: $namespace, taskId: $taskId) { task {
  namespace taskId queue kind state priority payload runAt createdAt updatedAt attempt fence
  retryPolicy { maxAttempts initialBackoffMs maxBackoffMs multiplier jitter }
  requiredCapabilities labels failures { attempt message } } } }`;

/** GetTask, beside the same query through bare pg under the bare library. */
export const getTaskCases: readonly Case[] = [
  {
    name: "task-rest",
    run: (bench) =>
      runHttpPair(bench, {
        name: "task-rest",
        what: "REST `GET …/tasks/{taskId}`",
        protocol: "rest",
        bareName: "express and pg",
        atLeast: AT_LEAST,
        async prepare(gateway) {
          const taskId = await enqueueOne(gateway);
          return {
            ours: { method: "GET", path: `/v1/namespaces/${gateway.namespace}/tasks/${taskId}` },
            bare: { method: "GET", path: `/v1/tasks/${taskId}` },
            whoAmI: {},
          };
        },
      }),
  },
  {
    name: "task-grpc",
    run: (bench) =>
      runGrpcPair(bench, {
        name: "task-grpc",
        what: "gRPC `TaskService/GetTask`",
        bareName: "grpc-js and pg",
        atLeast: AT_LEAST,
        method: "TaskService/GetTask",
        prepare: async (gateway) => ({ namespace: gateway.namespace, taskId: await enqueueOne(gateway) }),
      }),
  },
  {
    name: "task-graphql",
    run: (bench) =>
      runHttpPair(bench, {
        name: "task-graphql",
        what: "GraphQL `task`",
        protocol: "graphql",
        bareName: "yoga and pg",
        atLeast: AT_LEAST,
        async prepare(gateway) {
          const variables = { namespace: gateway.namespace, taskId: await enqueueOne(gateway) };
          const request: HttpRequest = { method: "POST", path: "/graphql", body: { query: QUERY, variables } };
          return { ours: request, bare: request, whoAmI: {} };
        },
      }),
  },
];

async function enqueueOne({ rest, namespace, key }: BenchGateway): Promise<string> {
  const { task } = await askOnce<{ task: { taskId: string } }>(rest, {
    method: "POST",
    path: `/v1/namespaces/${namespace}/queues/reads/tasks`,
    headers: { authorization: `Bearer ${key}` },
    body: { kind: "bench", payload },
  });
  return task.taskId;
}
