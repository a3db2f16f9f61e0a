import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Call } from "../../src/core/call.ts";
import { createOutbox } from "../../src/core/outbox.ts";
import type { WorkCommand, WorkRequest, WorkResponse } from "../../src/services/tasks/work-session-model.ts";
import { eventually } from "../support/eventually.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";
import { callWith, createTasksFixture, migrateTasks, NAMESPACE, type TasksFixture } from "./tasks-fixture.ts";

describe("a worker's session", () => {
  let open: OpenEngine;
  let gateway: TasksFixture;
  let call: Call;
  beforeEach(async () => {
    open = await databaseEngines[0]!.open();
    await migrateTasks(open.database);
    gateway = await createTasksFixture(open.database);
    call = callWith();
  });
  afterEach(async () => {
    await gateway.close();
    await open.close();
  });

  const startSession = async (maxInFlight = 2) => {
    const requests = createOutbox<WorkRequest>();
    const answers = gateway.work(requests, call)[Symbol.asyncIterator]();
    const say = (command: WorkCommand) => requests.put({ namespace: NAMESPACE, command });
    const hear = async (): Promise<WorkResponse["event"] | undefined> => {
      const next = await answers.next();
      return next.done ? undefined : next.value.event;
    };
    const hearTask = async () => {
      const event = await hear();
      if (event?.type !== "ASSIGNED") throw new Error(`A task was expected, ${event?.type} came.`);
      return { taskId: event.task.taskId, fence: event.task.fence };
    };
    await say({ type: "START", queues: ["q"], workerId: "w", capabilities: [], maxInFlight, leaseMs: 30_000 });
    return { requests, answers, say, hear, hearTask };
  };

  test("assigns up to maxInFlight, acknowledges, refuses what is stale, and ends after STOP", async () => {
    const ids = await gateway.enqueueBatch([{}, {}, {}, {}]);
    const { say, hear, hearTask } = await startSession();
    const first = await hearTask();
    const second = await hearTask();
    expect([first.taskId, second.taskId]).toEqual([ids[0], ids[1]]);
    await say({ type: "HEARTBEAT", ...first });
    expect(await hear()).toMatchObject({ type: "ACKNOWLEDGED", command: "HEARTBEAT" });
    await say({ type: "COMPLETE", ...first, fence: 99, result: 1 });
    expect(await hear()).toMatchObject({ type: "REFUSED", code: "ABORTED", reason: "LEASE_LOST" });
    await say({ type: "COMPLETE", ...first, result: 1 });
    const both = [await hear(), await hear()];
    expect(both.map((event) => event?.type).sort()).toEqual(["ACKNOWLEDGED", "ASSIGNED"]);
    expect((await gateway.tasks.get(NAMESPACE, first.taskId)).state).toBe("COMPLETED");
    await say({ type: "STOP" });
    expect(await hear()).toMatchObject({ type: "DRAINING" });
    await say({ type: "FAIL", ...second, error: { message: "no" }, retryable: false });
    expect(await hear()).toMatchObject({ type: "ACKNOWLEDGED", command: "FAIL" });
    const third = both.find((event) => event?.type === "ASSIGNED");
    if (third?.type !== "ASSIGNED") throw new Error("No third task came.");
    await say({ type: "RELEASE", taskId: third.task.taskId, fence: third.task.fence });
    expect(await hear()).toMatchObject({ type: "ACKNOWLEDGED", command: "RELEASE" });
    expect(await hear()).toBeUndefined();
    expect((await gateway.lease({ maxTasks: 9 })).map(({ taskId }) => taskId)).toEqual([ids[2], ids[3]]);
  });

  test("ends with the call's error when the call is aborted, also while the worker is full", async () => {
    await gateway.enqueueBatch([{}, {}]);
    const { hear, hearTask } = await startSession(1);
    await hearTask();
    const next = hear();
    call.abort();
    await expect(next).rejects.toMatchObject({ code: "CANCELLED" });
    expect(await gateway.lease({ maxTasks: 9 })).toHaveLength(1);
  });

  test("releases what the worker was not sent when it goes away", async () => {
    const ids = await gateway.enqueueBatch([{}, {}, {}]);
    const { answers, hearTask } = await startSession(3);
    expect((await hearTask()).taskId).toBe(ids[0]);
    await eventually("all are leased", async () => {
      const found = await Promise.all(ids.map((id) => gateway.tasks.get(NAMESPACE, id)));
      return found.every(({ state }) => state === "LEASED");
    });
    const left = answers.return!();
    call.abort();
    await left;
    const released = await gateway.lease({ maxTasks: 9 });
    expect(released.map(({ taskId }) => taskId)).toEqual([ids[1], ids[2]]);
    expect(released.map(({ attempt }) => attempt)).toEqual([1, 1]);
  });

  test("must begin with START", async () => {
    const requests = createOutbox<WorkRequest>();
    await requests.put({ namespace: NAMESPACE, command: { type: "STOP" } });
    await expect(gateway.work(requests, call)[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      reason: "SESSION_NOT_STARTED",
    });
  });
});
