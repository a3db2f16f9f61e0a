import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { showGatewaysOnFailure } from "../support/gateway-process.ts";
import { startWorkerProcess, type WorkerProcess } from "../support/worker-process.ts";
import type { OneTaskOptions, OneTaskTold } from "../support/worker-process-one.ts";
import { type RestClient, restClient } from "./client.ts";
import { createKey, createNamespace, type Installation, SETUPS } from "./setups.ts";

showGatewaysOnFailure();

const REFUSED = [
  ["rest", 409],
  ["grpc", 10],
  ["graphql", "ABORTED"],
] as const;

describe.each(SETUPS)("a worker that was stopped past its lease on $name", ({ start }) => {
  let installation: Installation;
  let admin: RestClient;
  let worker: WorkerProcess<OneTaskTold> | undefined;
  beforeAll(async () => {
    installation = await start();
    admin = restClient(installation.a, installation.adminKey);
  }, 120_000);
  afterEach(() => worker?.remove());
  afterAll(() => installation?.remove());

  test.each(REFUSED)(
    "is refused over %s with %s, and changes nothing",
    async (protocol, code) => {
      const { rest, graphql, grpc } = installation.a;
      const { namespace, path } = await createNamespace(admin);
      const { secret } = await createKey(admin, path, "worker");
      await admin.post(`${path}/queues/q/tasks`, { kind: "k", retryPolicy: { initialBackoffMs: 0 } });
      const options: OneTaskOptions = {
        ...{ rest, graphql, grpc, key: secret, namespace, queue: "q", leaseMs: 500 },
        protocol,
      };
      worker = startWorkerProcess<OneTaskTold>("one", options);
      const { leased } = await worker.waitFor("it leases the task", (line) => line.leased !== undefined);
      expect(leased!.fence).toBe(1);
      worker.signal("SIGSTOP");
      worker.say("complete");

      const other = restClient(installation.b, secret);
      const again = await other.post(`${path}/queues/q/tasks:lease`, {
        ...{ workerId: "second", leaseMs: 60_000, waitMs: 20_000 },
      });
      expect(again.body.tasks[0]).toMatchObject({ taskId: leased!.taskId, fence: 2, attempt: 2 });
      const done = await other.post(`${path}/tasks/${leased!.taskId}:complete`, { fence: 2, result: "of the second" });
      expect(done.status).toBe(200);
      const before = (await admin.get(`${path}/tasks/${leased!.taskId}`)).body;
      const statsBefore = (await admin.get(`${path}/queues/q/stats`)).body.totals;

      worker.signal("SIGCONT");
      const { completed } = await worker.waitFor("its completion is answered", (line) => line.completed !== undefined);
      expect(completed).toEqual({ code, reason: "LEASE_LOST" });
      const after = (await admin.get(`${path}/tasks/${leased!.taskId}`)).body;
      expect(after).toEqual(before);
      expect(after.task).toMatchObject({ state: "COMPLETED", result: "of the second", workerId: "second", fence: 2 });
      expect((await admin.get(`${path}/queues/q/stats`)).body.totals).toEqual(statsBefore);
      expect(statsBefore).toMatchObject({ enqueued: 1, leased: 2, expired: 1, completed: 1 });
    },
    90_000,
  );

  test("is refused also before somebody else has completed", async () => {
    const { rest, graphql, grpc } = installation.b;
    const { namespace, path } = await createNamespace(admin);
    await admin.post(`${path}/queues/q/tasks`, { kind: "k", retryPolicy: { initialBackoffMs: 0 } });
    const key = installation.adminKey;
    worker = startWorkerProcess<OneTaskTold>("one", {
      ...{ rest, graphql, grpc, key, namespace, queue: "q", leaseMs: 500, protocol: "rest" },
    } satisfies OneTaskOptions);
    const { leased } = await worker.waitFor("it leases the task", (line) => line.leased !== undefined);
    worker.signal("SIGSTOP");
    worker.say("complete");
    const lease = { workerId: "second", leaseMs: 60_000, waitMs: 20_000 };
    expect((await admin.post(`${path}/queues/q/tasks:lease`, lease)).body.tasks).toHaveLength(1);
    worker.signal("SIGCONT");
    const { completed } = await worker.waitFor("its completion is answered", (line) => line.completed !== undefined);
    expect(completed).toEqual({ code: 409, reason: "LEASE_LOST" });
    const { task } = (await admin.get(`${path}/tasks/${leased!.taskId}`)).body;
    expect(task).toMatchObject({ state: "LEASED", workerId: "second", fence: 2 });
    const done = await admin.post(`${path}/tasks/${leased!.taskId}:complete`, { fence: 2 });
    expect(done.body.task.state).toBe("COMPLETED");
  }, 90_000);
});
