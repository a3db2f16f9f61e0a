import type { Bench, Case } from "../harness/bench.ts";
import { callFor } from "../harness/compare.ts";
import { readCpuSeconds } from "../harness/cores.ts";
import { type BenchGateway, startGateway } from "../harness/gateway.ts";
import type { Row } from "../harness/row.ts";
import { encodeRequest, type HttpConnection, openHttpConnection } from "../load/http-connection.ts";
import { payload } from "../load/payload.ts";

const CONCURRENCY = 16;
/** Long enough for every lease to outlast the case. */
const LEASE_MS = 300_000;

interface LeasedTask {
  readonly taskId: string;
  readonly fence: number;
}

/** One task a call over REST: enqueue, lease, heartbeat, complete. */
export const singleTasksCase: Case = {
  name: "single-tasks",
  async run(bench) {
    const gateway = await startGateway(bench, { name: "single-tasks", databaseUrl: await bench.createDatabase() });
    const connections = await Promise.all(Array.from({ length: CONCURRENCY }, () => openHttpConnection(gateway.rest)));
    for (const connection of connections) bench.defer(async () => connection.close());
    await runThrough(bench, gateway, connections, "warm-up");
    return runThrough(bench, gateway, connections, "single");
  },
};

async function runThrough(
  bench: Bench,
  gateway: BenchGateway,
  connections: readonly HttpConnection[],
  queue: string,
): Promise<Row[]> {
  const { namespace, key, pid } = gateway;
  const headers = { authorization: `Bearer ${key}` };
  const post = <Answer>(connection: HttpConnection, to: string, body: object) =>
    connection.sendJson<Answer>(
      encodeRequest({ method: "POST", path: `/v1/namespaces/${namespace}${to}`, headers, body }),
    );
  const measure = async (what: string, call: (connection: HttpConnection, worker: number) => Promise<unknown>) => {
    const callers = connections.map((connection, worker) => () => call(connection, worker));
    return measureRate(what, pid, callers, bench.options.seconds);
  };

  const held: LeasedTask[] = [];
  const rows = [
    await measure("Enqueue", (connection) => post(connection, `/queues/${queue}/tasks`, { kind: "bench", payload })),
    await measure("Lease", async (connection, worker) => {
      const request = { workerId: `worker-${worker}`, maxTasks: 1, leaseMs: LEASE_MS };
      const { tasks } = await post<{ tasks: LeasedTask[] }>(connection, `/queues/${queue}/tasks:lease`, request);
      held.push(...tasks);
      // Leasing may be quicker than enqueueing was.
      return tasks.length > 0;
    }),
  ];
  let next = 0;
  rows.push(
    await measure("Heartbeat", (connection) => {
      const { taskId, fence } = held[next++ % held.length]!;
      return post(connection, `/tasks/${taskId}:heartbeat`, { fence, leaseMs: LEASE_MS });
    }),
    await measure("Complete", async (connection) => {
      const task = held.pop();
      if (!task) return false;
      return post(connection, `/tasks/${task.taskId}:complete`, { fence: task.fence });
    }),
  );
  return rows;
}

/** Calls until the time is over, or until a call answers false because there is nothing left to do. */
async function measureRate(
  what: string,
  pid: number,
  callers: readonly (() => Promise<unknown>)[],
  seconds: number,
): Promise<Row> {
  const cpuBefore = readCpuSeconds(pid);
  const startedMs = performance.now();
  let endedMs: number | undefined;
  let useful = 0;
  await callFor(
    callers.map((call) => async () => {
      // Nothing is left: wait for the end of the round without asking again.
      if (endedMs !== undefined) return new Promise((resolve) => setTimeout(resolve, 10));
      if ((await call()) === false) endedMs ??= performance.now();
      else useful += 1;
    }),
    seconds,
  );
  const elapsedSeconds = ((endedMs ?? performance.now()) - startedMs) / 1000;
  const cpuAfter = readCpuSeconds(pid);
  const perSecond = useful / elapsedSeconds;
  return {
    case: "single-tasks",
    what: `${what}, one task a call, REST, ${CONCURRENCY} callers`,
    unit: "calls/s",
    gateway: { median: perSecond, low: perSecond, high: perSecond },
    ...(cpuBefore !== undefined &&
      cpuAfter !== undefined && { gatewayCpuPercent: Math.round(((cpuAfter - cpuBefore) / elapsedSeconds) * 100) }),
  };
}
