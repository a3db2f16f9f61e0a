import { createInterface } from "node:readline";
import { graphql, grpcClient, restClient } from "../e2e/client.ts";

/** What this script takes, as JSON in its argument. */
export interface OneTaskOptions {
  readonly rest: string;
  readonly graphql: string;
  readonly grpc: string;
  readonly key: string;
  readonly namespace: string;
  readonly queue: string;
  readonly leaseMs: number;
  /** What it completes the task over. */
  readonly protocol: "rest" | "grpc" | "graphql";
}

/** What it tells: what it leased, and how its completion was answered. */
export interface OneTaskTold {
  readonly leased?: { readonly taskId: string; readonly fence: number };
  readonly completed?: { readonly code: string | number; readonly reason?: string | undefined };
}

const options = JSON.parse(process.argv[2]!) as OneTaskOptions;
const { key, namespace, queue, leaseMs } = options;
const client = restClient(options, key);
const path = `/namespaces/${namespace}`;
const tell = (line: OneTaskTold) => process.stdout.write(`${JSON.stringify(line)}\n`);

const leasing = await client.post(`${path}/queues/${queue}/tasks:lease`, {
  workerId: "first",
  leaseMs,
  waitMs: 20_000,
});
const { taskId, fence } = leasing.body.tasks[0] as { taskId: string; fence: number };
tell({ leased: { taskId, fence } });
const heartbeat = setInterval(() => {
  client.post(`${path}/tasks/${taskId}:heartbeat`, { fence, leaseMs }).catch(() => {});
}, leaseMs / 3);

for await (const word of createInterface({ input: process.stdin })) {
  if (word !== "complete") continue;
  clearInterval(heartbeat);
  tell({ completed: await complete() });
  break;
}
process.exit(0);

async function complete(): Promise<{ code: string | number; reason?: string | undefined }> {
  const result = "of the first";
  if (options.protocol === "rest") {
    const { status, body } = await client.post(`${path}/tasks/${taskId}:complete`, { fence, result });
    return { code: status, reason: body.reason };
  }
  if (options.protocol === "graphql") {
    const mutation = "mutation ($input: CompleteTaskInput!) { completeTask(input: $input) { task { state } } }";
    const { errors } = await graphql(options, key, mutation, { input: { namespace, taskId, fence, result } });
    return { code: errors?.[0]?.extensions.code ?? "OK", reason: errors?.[0]?.extensions.reason };
  }
  const tasks = grpcClient(options.grpc, key, "TaskService");
  try {
    await tasks.unary("CompleteTask", { namespace, taskId, fence });
    return { code: "OK" };
  } catch (error) {
    // The reason is in the binary details, whose text holds it as it is.
    const failed = error as { code: number; metadata: { get(name: string): unknown[] } };
    const details = String(failed.metadata.get("grpc-status-details-bin")[0] ?? "");
    return { code: failed.code, reason: /[A-Z]+_[A-Z_]+/.exec(details)?.[0] };
  }
}
