import type { Bench } from "../harness/bench.ts";
import { type BenchGateway, startGateway } from "../harness/gateway.ts";
import { createGrpcClient, loadMethod } from "../load/grpc-client.ts";
import { encodeRequest, type HttpConnection, openHttpConnection } from "../load/http-connection.ts";
import { payload } from "../load/payload.ts";
import { BATCH, PRODUCERS, type TaskSystem, WORKERS } from "./task-system.ts";

interface LeasedTask {
  readonly taskId: string;
  readonly fence: number;
}

/** The three calls, over one protocol. */
interface BatchClient {
  enqueue(): Promise<void>;
  lease(workerId: string): Promise<readonly LeasedTask[]>;
  complete(tasks: readonly LeasedTask[]): Promise<void>;
}

const LEASE_MS = 30_000;
/** Short, so that the workers of a round end soon after it. */
const WAIT_MS = 200;

/** The gateway over REST and over gRPC, as two systems with a queue each. */
export async function createGatewaySystems(bench: Bench, name: string): Promise<TaskSystem[]> {
  const gateway = await startGateway(bench, { name, databaseUrl: await bench.createDatabase() });
  return [
    createSystem("REST", gateway, await createRestClient(bench, gateway)),
    createSystem("gRPC", gateway, createGrpcBatchClient(bench, gateway)),
  ];
}

function createSystem(name: string, { pid }: BenchGateway, client: BatchClient): TaskSystem {
  let completed = 0;
  let isWorking = false;
  let workers: Promise<unknown> = Promise.resolve();
  let failure: Error | undefined;

  const work = async (workerId: string) => {
    while (isWorking) {
      const tasks = await client.lease(workerId);
      if (tasks.length === 0) continue;
      await client.complete(tasks);
      completed += tasks.length;
    }
  };
  return {
    name,
    pid,
    isAsDurable: true,
    async begin() {
      isWorking = true;
      workers = Promise.all(Array.from({ length: WORKERS }, (_, index) => work(`worker-${index}`))).catch((error) => {
        failure = error as Error;
      });
    },
    async enqueueBatch() {
      await client.enqueue();
      return BATCH;
    },
    completed: () => completed,
    check() {
      if (failure) throw failure;
    },
    async end() {
      isWorking = false;
      await workers;
    },
  };
}

async function createRestClient(bench: Bench, { rest, namespace, key }: BenchGateway): Promise<BatchClient> {
  const headers = { authorization: `Bearer ${key}` };
  const path = `/v1/namespaces/${namespace}`;
  const connections = await Promise.all(Array.from({ length: PRODUCERS + WORKERS }, () => openHttpConnection(rest)));
  for (const connection of connections) bench.defer(async () => connection.close());
  const free: HttpConnection[] = [...connections];
  const post = async <Answer>(to: string, body: object): Promise<Answer> => {
    // As many connections as callers, so one is always free.
    const connection = free.pop()!;
    const answer = await connection.sendJson<Answer>(encodeRequest({ method: "POST", path: path + to, headers, body }));
    free.push(connection);
    return answer;
  };
  const tasks = Array.from({ length: BATCH }, () => ({ kind: "bench", payload }));
  return {
    enqueue: () => post("/queues/rest/tasks:batchEnqueue", { tasks }),
    async lease(workerId) {
      const request = { workerId, maxTasks: BATCH, leaseMs: LEASE_MS, waitMs: WAIT_MS };
      return (await post<{ tasks: LeasedTask[] }>("/queues/rest/tasks:lease", request)).tasks;
    },
    async complete(leased) {
      const completions = leased.map(({ taskId, fence }) => ({ taskId, fence }));
      const { results } = await post<{ results: { outcome: string }[] }>("/tasks:batchComplete", { completions });
      if (!results.every(({ outcome }) => outcome === "COMPLETED")) throw new Error("A completion was refused.");
    },
  };
}

function createGrpcBatchClient(bench: Bench, { grpc, namespace, key }: BenchGateway): BatchClient {
  const client = createGrpcClient(grpc, key);
  bench.defer(async () => client.close());
  const [enqueue, lease, complete] = ["BatchEnqueueTasks", "LeaseTasks", "BatchCompleteTasks"].map((method) =>
    loadMethod(`TaskService/${method}`),
  );
  const fields = Object.entries(payload).map(([name, value]) => [name, encodeScalar(value)]);
  const encoded = { structValue: { fields: Object.fromEntries(fields) } };
  const tasks = Array.from({ length: BATCH }, () => ({ kind: "bench", payload: encoded }));
  const queue = "grpc";
  return {
    enqueue: () => client.call(enqueue!, { namespace, queue, tasks }),
    async lease(workerId) {
      const request = { namespace, queue, workerId, maxTasks: BATCH, leaseMs: LEASE_MS, waitMs: WAIT_MS };
      return (await client.call<{ tasks?: LeasedTask[] }>(lease!, request)).tasks ?? [];
    },
    async complete(leased) {
      const completions = leased.map(({ taskId, fence }) => ({ taskId, fence }));
      const answer = await client.call<{ results: { outcome: string }[] }>(complete!, { namespace, completions });
      const isDone = answer.results.every(({ outcome }) => outcome === "COMPLETION_OUTCOME_COMPLETED");
      if (!isDone) throw new Error("A completion was refused.");
    },
  };
}

function encodeScalar(value: string | number | boolean): object {
  if (typeof value === "string") return { stringValue: value };
  return typeof value === "number" ? { numberValue: value } : { boolValue: value };
}
