import { statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { showGatewaysOnFailure } from "../support/gateway-process.ts";
import { activeCalls, graphql, grpcClient, type RestClient, restClient } from "./client.ts";
import { createKey, createNamespace, type Installation, SETUPS } from "./setups.ts";

showGatewaysOnFailure();

const RETRY_AT_ONCE = { maxAttempts: 2, initialBackoffMs: 0, maxBackoffMs: 0, jitter: 0 };

describe.each(SETUPS)("a user's day on $name", ({ start }) => {
  let installation: Installation;
  let admin: RestClient;
  beforeAll(async () => {
    installation = await start();
    admin = restClient(installation.a, installation.adminKey);
  }, 120_000);
  afterAll(() => installation?.remove());

  test("the first start makes an admin key that its owner alone can read, and says where", async () => {
    const { gateways, adminKey } = installation;
    const maker = gateways.find((gateway) => gateway.output().includes("(made just now)"))!;
    const file = join(maker.dir, "data", "admin.key");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(maker.output()).toContain(`Admin key  ${file} (made just now)`);
    expect(maker.output()).not.toContain(adminKey);
    for (const gateway of gateways) {
      const { status, body } = await restClient(gateway, adminKey).get("/namespaces/default");
      expect([status, body.namespace.name]).toEqual([200, "default"]);
      expect((await fetch(`${gateway.rest}/v1/namespaces`)).status).toBe(401);
    }
  });

  test("a task goes through all three protocols and both gateways", async () => {
    const { a, b } = installation;
    const { namespace, path } = await createNamespace(admin);
    const { secret } = await createKey(admin, path, "operator", "worker");
    const producer = restClient(a, secret);
    const enqueued = await producer.post(`${path}/queues/embed/tasks`, { kind: "embed", payload: { text: "hällo" } });
    expect(enqueued.body).toMatchObject({ duplicate: false, task: { state: "READY", fence: 0 } });
    const { taskId } = enqueued.body.task;

    const worker = grpcClient(b.grpc, secret, "TaskService");
    const leased = await worker.unary("LeaseTasks", { namespace, queue: "embed", workerId: "w1", leaseMs: 60_000 });
    worker.close();
    expect(leased.tasks).toHaveLength(1);
    expect(leased.tasks[0]).toMatchObject({ taskId, fence: 1, attempt: 1, state: "TASK_STATE_LEASED" });

    const heartbeat = await graphql(
      a,
      secret,
      "mutation ($input: HeartbeatTaskInput!) { heartbeatTask(input: $input) { leaseExpiresAt } }",
      { input: { namespace, taskId, fence: 1, leaseMs: 60_000, progress: { percent: 50 } } },
    );
    expect(heartbeat.errors).toBeUndefined();
    expect(Date.parse(heartbeat.data.heartbeatTask.leaseExpiresAt)).toBeGreaterThan(Date.now() + 30_000);

    const completed = await restClient(b, secret).post(`${path}/tasks/${taskId}:complete`, {
      fence: 1,
      result: [1, 2],
    });
    expect(completed.body.task).toMatchObject({ state: "COMPLETED", result: [1, 2] });
    const query = "query ($n: String!, $t: ID!) { task(namespace: $n, taskId: $t) { task { state payload result } } }";
    expect(await graphql(b, secret, query, { n: namespace, t: taskId })).toEqual({
      data: { task: { task: { state: "COMPLETED", payload: { text: "hällo" }, result: [1, 2] } } },
    });
    const stats = await producer.get(`${path}/queues/embed/stats`);
    expect(stats.body.totals).toMatchObject({ enqueued: 1, leased: 1, completed: 1, expired: 0 });
  });

  test("failures are retried, become dead letters, and are sent back", async () => {
    const { path } = await createNamespace(admin);
    const other = restClient(installation.b, installation.adminKey);
    const { body } = await admin.post(`${path}/queues/q/tasks`, { kind: "k", retryPolicy: RETRY_AT_ONCE });
    const { taskId } = body.task;
    const attempt = async (client: RestClient) => {
      const leased = await client.post(`${path}/queues/q/tasks:lease`, { workerId: "w", waitMs: 5000 });
      expect(leased.body.tasks[0]?.taskId).toBe(taskId);
      return leased.body.tasks[0].fence as number;
    };
    const fail = async (client: RestClient, fence: number) =>
      (await client.post(`${path}/tasks/${taskId}:fail`, { fence, error: { message: "no", type: "NO" } })).body.task;

    expect(await fail(other, await attempt(admin))).toMatchObject({ state: "READY", attempt: 1 });
    const dead = await fail(admin, await attempt(other));
    expect(dead).toMatchObject({ state: "DEAD_LETTERED", failures: [{ attempt: 1 }, { attempt: 2, type: "NO" }] });
    const letters = await other.get(`${path}/deadLetters?queue=q&errorType=NO`);
    expect(letters.body.tasks.map((task: { taskId: string }) => task.taskId)).toEqual([taskId]);

    expect((await other.post(`${path}/deadLetters:redrive`, { taskId })).body).toEqual({ redriven: 1 });
    const fence = await attempt(admin);
    expect(fence).toBe(3);
    expect((await other.post(`${path}/tasks/${taskId}:complete`, { fence })).body.task.state).toBe("COMPLETED");
  });

  test("a lease that ends without a heartbeat is given to another worker within a second", async () => {
    const { path } = await createNamespace(admin);
    const other = restClient(installation.b, installation.adminKey);
    await admin.post(`${path}/queues/q/tasks`, { kind: "k", retryPolicy: RETRY_AT_ONCE });
    const first = await admin.post(`${path}/queues/q/tasks:lease`, { workerId: "gone", leaseMs: 300 });
    const endsAt = Date.parse(first.body.tasks[0].leaseExpiresAt);
    const second = await other.post(`${path}/queues/q/tasks:lease`, { workerId: "next", waitMs: 10_000 });
    const afterMs = Date.now() - endsAt;
    expect(second.body.tasks[0]).toMatchObject({ fence: 2, failures: [{ type: "LEASE_EXPIRED", workerId: "gone" }] });
    expect(afterMs).toBeGreaterThanOrEqual(0);
    expect(afterMs).toBeLessThan(1500);
  });

  test("a task with a runAt comes at its time", async () => {
    const { path } = await createNamespace(admin);
    const runAt = new Date(Date.now() + 700).toISOString();
    const { body } = await admin.post(`${path}/queues/q/tasks`, { kind: "k", runAt });
    expect(body.task.state).toBe("SCHEDULED");
    const other = restClient(installation.b, installation.adminKey);
    const leased = await other.post(`${path}/queues/q/tasks:lease`, { workerId: "w", waitMs: 10_000 });
    const lateMs = Date.now() - Date.parse(runAt);
    expect(leased.body.tasks).toHaveLength(1);
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThan(1500);
  });

  test("a named lease is held by one, passed on when released, and fenced", async () => {
    const { path } = await createNamespace(admin);
    const other = restClient(installation.b, installation.adminKey);
    const lease = `${path}/leases/nightly`;
    const mine = await admin.post(`${lease}:acquire`, { holder: "one", ttlMs: 60_000 });
    expect(mine.body.lease).toMatchObject({ state: "HELD", holder: "one" });
    const { fence } = mine.body.lease;
    const refused = await other.post(`${lease}:acquire`, { holder: "two", ttlMs: 60_000 });
    expect([refused.status, refused.body.reason]).toEqual([409, "LEASE_HELD"]);

    const waiting = other.post(`${lease}:acquire`, { holder: "two", ttlMs: 60_000, waitMs: 20_000 });
    await activeCalls(installation.b, "leases.acquire", 1);
    const releasedAt = performance.now();
    expect((await admin.post(`${lease}:release`, { fence })).body.lease.state).toBe("FREE");
    const passed = await waiting;
    expect(passed.body.lease).toMatchObject({ holder: "two", state: "HELD" });
    expect(passed.body.lease.fence).toBeGreaterThan(fence);
    expect(performance.now() - releasedAt).toBeLessThan(2000);
    const stale = await admin.post(`${lease}:heartbeat`, { fence });
    expect([stale.status, stale.body.reason]).toEqual([409, "LEASE_LOST"]);
  });

  test("an enqueue at one gateway wakes a leaser at the other within milliseconds", async () => {
    const { path } = await createNamespace(admin);
    const other = restClient(installation.b, installation.adminKey);
    const rounds = 50;
    const delaysMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const leasing = other
        .post(`${path}/queues/q/tasks:lease`, { workerId: "w", waitMs: 20_000 })
        .then(({ body }) => ({ body, at: performance.now() }));
      await activeCalls(installation.b, "tasks.lease", 1);
      const { body } = await admin.post(`${path}/queues/q/tasks`, { kind: "k", payload: round });
      const enqueuedAt = performance.now();
      const leased = await leasing;
      expect(leased.body.tasks[0].taskId).toBe(body.task.taskId);
      delaysMs.push(leased.at - enqueuedAt);
    }
    delaysMs.sort((left, right) => left - right);
    const percentile = (share: number) => delaysMs[Math.ceil(share * rounds) - 1]!;
    console.log(`wake-up of a leaser: p50 ${percentile(0.5).toFixed(1)} ms, p99 ${percentile(0.99).toFixed(1)} ms`);
    expect(percentile(0.5)).toBeLessThan(100);
    expect(percentile(0.99)).toBeLessThan(500);
  }, 120_000);
});
