import { Redis } from "ioredis";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import {
  type Environment,
  type GatewayProcess,
  showGatewaysOnFailure,
  startGateway,
} from "../support/gateway-process.ts";
import { startPostgres } from "../support/postgres.ts";
import { startRedis } from "../support/redis.ts";
import { startWorkerProcess, type WorkerProcess } from "../support/worker-process.ts";
import type { LoadOptions, LoadTold } from "../support/worker-process-load.ts";
import { activeCalls, type Body, type RestClient, restClient } from "./client.ts";
import { openStream } from "./event-stream.ts";
import { createNamespace } from "./setups.ts";

showGatewaysOnFailure();

/** How much is acknowledged between two faults, so that each of them hits work that is under way. */
const ACKNOWLEDGED_BETWEEN_FAULTS = 60;
const ROUNDS = 3;
const QUEUE = "load";

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Fault {
  readonly what: string;
  strike(): Promise<void>;
}

async function gateway(environment: Environment): Promise<GatewayProcess> {
  const started = await startGateway({ environment });
  cleanups.push(() => started.remove());
  return started;
}

const killing = (gateway: GatewayProcess): Fault => ({
  what: "kill -9 of a gateway",
  async strike() {
    await gateway.kill();
    await gateway.restart();
  },
});

test("embedded: kill -9 of the gateway under load loses and doubles nothing", async () => {
  const only = await gateway({});
  await strikeUnderLoad([only], only.adminKey, [killing(only)], ROUNDS + 1);
}, 120_000);

test("Postgres and Redis: kill -9 of a gateway, of Redis and of Postgres, and FLUSHALL, lose and double nothing", async () => {
  const postgres = await startPostgres();
  cleanups.push(() => postgres.stop());
  const redis = await startRedis();
  cleanups.push(() => redis.stop());
  const environment = { TARL_DATABASE_URL: postgres.url, TARL_REDIS_URL: redis.url };
  const a = await gateway(environment);
  const b = await gateway(environment);
  const faults: Fault[] = [
    killing(a),
    {
      what: "kill -9 of Redis",
      async strike() {
        await redis.kill();
        await redis.restart();
      },
    },
    { what: "FLUSHALL", strike: () => flushAll(redis.url) },
    killing(b),
    {
      what: "kill -9 of Postgres",
      async strike() {
        await postgres.kill();
        await postgres.restart();
      },
    },
  ];
  await strikeUnderLoad([a, b], a.adminKey, faults, ROUNDS);
  await wakesAcross(a, b, a.adminKey);
}, 180_000);

test("Postgres alone: kill -9 of a gateway and of Postgres loses and doubles nothing", async () => {
  const postgres = await startPostgres();
  cleanups.push(() => postgres.stop());
  const environment = { TARL_DATABASE_URL: postgres.url };
  const a = await gateway(environment);
  const b = await gateway(environment);
  const killPostgres = async () => {
    await postgres.kill();
    await postgres.restart();
  };
  const faults: Fault[] = [killing(a), { what: "kill -9 of Postgres", strike: killPostgres }];
  await strikeUnderLoad([a, b], a.adminKey, faults, ROUNDS);
  await wakesAcross(a, b, a.adminKey);
}, 120_000);

async function flushAll(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.flushall();
  redis.disconnect();
}

/** Lets the faults strike one after the other, `rounds` times, and compares what was acknowledged with what is recorded. */
async function strikeUnderLoad(
  gateways: readonly GatewayProcess[],
  key: string,
  faults: readonly Fault[],
  rounds: number,
): Promise<void> {
  const client = restClient(gateways[0]!, key);
  const { path } = await createNamespace(client);
  const begin = await firstCursor(gateways[0]!, key, client, path);
  const load = startWorkerProcess<LoadTold>("load", {
    rest: gateways.map(({ rest }) => rest),
    ...{ key, path, queue: QUEUE, enqueuers: 3, workers: 3, leaseMs: 2_000 },
  } satisfies LoadOptions);
  cleanups.push(() => load.remove());

  for (let round = 0; round < rounds; round++) {
    for (const fault of faults) {
      await progress(load, fault.what);
      await fault.strike();
    }
  }
  await progress(load, "the last fault");
  load.say("stop enqueueing");
  await load.waitFor("enqueueing ends", (line) => line.ended === true, 30_000);
  await eventually("everything is worked off", () => isWorkedOff(client, path), 30_000).catch(async (error) => {
    const { body } = await client.get(`${path}/tasks?states=LEASED&states=READY&states=SCHEDULED&pageSize=3`);
    throw new Error(`${error.message}. Among others: ${JSON.stringify(body, undefined, 1)}`);
  });
  await compare(gateways.at(-1)!, key, path, load, begin);
}

/** Waits until the load goes on: something was enqueued and completed since. */
async function progress(load: WorkerProcess<LoadTold>, before: string): Promise<void> {
  const start = load.told.length;
  const enough = () => {
    const since = load.told.slice(start);
    const completed = since.filter((line) => line.completed).length;
    return completed >= ACKNOWLEDGED_BETWEEN_FAULTS && since.length - completed >= ACKNOWLEDGED_BETWEEN_FAULTS / 10;
  };
  await eventually(`work goes on before ${before}`, enough, 40_000);
}

async function isWorkedOff(client: RestClient, path: string): Promise<boolean> {
  const stats = await client.get(`${path}/queues/${QUEUE}/stats`).catch(() => undefined);
  if (stats?.status !== 200) return false;
  return sum(stats.body.depth, "ready") + sum(stats.body.depth, "leased") + sum(stats.body.depth, "scheduled") === 0;
}

async function compare(
  gateway: GatewayProcess,
  key: string,
  path: string,
  load: WorkerProcess<LoadTold>,
  begin: string,
): Promise<void> {
  const client = restClient(gateway, key);
  const rows = await readTasks(client, path);
  const events = await readEvents(gateway, key, path, begin, client);
  const { body: stats } = await client.get(`${path}/queues/${QUEUE}/stats`);
  const { body: usage } = await client.get(`${path}/usage`);
  const enqueued = load.told.flatMap((line) => line.enqueued ?? []);
  const completed = load.told.flatMap((line) => (line.completed ? [line.completed] : []));
  const leases = [...rows.values()].reduce((total, task) => total + task.fence, 0);
  console.log(
    `${enqueued.length} enqueues and ${completed.length} completions acknowledged; ${rows.size} tasks, ${leases} leases`,
  );

  expect(enqueued.filter((taskId) => !rows.has(taskId))).toEqual([]);
  expect([...rows.values()].filter(({ state }) => state !== "COMPLETED")).toEqual([]);
  // Acknowledged once means recorded under that fence: nobody completed it again under another.
  expect(completed.filter(({ taskId, fence }) => rows.get(taskId)?.fence !== fence)).toEqual([]);
  for (const type of ["ENQUEUED", "COMPLETED"]) {
    const ids = events.filter((event) => event.type === type).map(({ taskId }) => taskId as string);
    expect(ids.length, `${type} events`).toBe(rows.size);
    expect(new Set(ids).size, `tasks with ${type} events`).toBe(rows.size);
  }
  const fences = events.filter(({ type }) => type === "LEASED").map(({ taskId, fence }) => `${taskId} ${fence}`);
  expect([fences.length, new Set(fences).size]).toEqual([leases, leases]);

  expect(sum(stats.depth, "completed")).toBe(rows.size);
  expect(sum(stats.depth, "deadLettered") + sum(stats.depth, "cancelled")).toBe(0);
  expect(stats.totals).toEqual({
    ...{ enqueued: rows.size, leased: leases, completed: rows.size, failed: 0 },
    ...{ expired: leases - rows.size, deadLettered: 0 },
  });
  const { body: waiting } = await client.get(`${path}/tasks?states=READY&pageSize=1000`);
  const waitingByQueue = Map.groupBy<string, Body>(waiting.tasks, ({ queue }) => queue);
  expect(usage.usage).toMatchObject({
    queueDepth: { used: Math.max(...[...waitingByQueue.values()].map((tasks) => tasks.length)) },
    concurrentExecutions: { used: 0 },
  });
}

async function readTasks(client: RestClient, path: string): Promise<Map<string, Body>> {
  const tasks = new Map<string, Body>();
  let pageToken = "";
  do {
    const { body } = await client.get(`${path}/tasks?queue=${QUEUE}&pageSize=1000&pageToken=${pageToken}`);
    for (const task of body.tasks) tasks.set(task.taskId, task);
    pageToken = body.nextPageToken ?? "";
  } while (pageToken !== "");
  return tasks;
}

/** The cursor of an event that lies before everything the load does. */
async function firstCursor(gateway: GatewayProcess, key: string, client: RestClient, path: string): Promise<string> {
  const stream = await openStream(gateway, key, `${path}/tasks:watch`);
  await eventually("a first event comes", async () => {
    await client.post(`${path}/queues/other/tasks`, { kind: "k" });
    return stream.cursor() !== undefined;
  });
  stream.close();
  return stream.cursor()!;
}

/** Everything that happened in the queue, up to a task that is enqueued for the purpose. */
async function readEvents(
  gateway: GatewayProcess,
  key: string,
  path: string,
  begin: string,
  client: RestClient,
): Promise<Body[]> {
  const stream = await openStream(gateway, key, `${path}/tasks:watch?cursor=${begin}`);
  const { taskId } = (await client.post(`${path}/queues/last/tasks`, { kind: "k" })).body.task;
  const isLast = ({ result }: { result?: Body }) => result?.event.taskId === taskId;
  await eventually("the last event comes", () => stream.records.some(isLast), 20_000);
  stream.close();
  return stream.records.flatMap(({ result }) => (result?.event.queue === QUEUE ? [result.event] : []));
}

/** After all that, an enqueue at one gateway still wakes a leaser at the other at once. */
async function wakesAcross(a: GatewayProcess, b: GatewayProcess, key: string): Promise<void> {
  const { path } = await createNamespace(restClient(a, key));
  const leasing = restClient(b, key)
    .post(`${path}/queues/q/tasks:lease`, { workerId: "w", waitMs: 20_000 })
    .then(({ body }) => ({ body, at: performance.now() }));
  await activeCalls(b, "tasks.lease", 1);
  await restClient(a, key).post(`${path}/queues/q/tasks`, { kind: "k" });
  const enqueuedAt = performance.now();
  const leased = await leasing;
  expect(leased.body.tasks).toHaveLength(1);
  expect(leased.at - enqueuedAt).toBeLessThan(1_000);
}

function sum(depth: readonly Record<string, number>[], state: string): number {
  return depth.reduce((total, priority) => total + priority[state]!, 0);
}
