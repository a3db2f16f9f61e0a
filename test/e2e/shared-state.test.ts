import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { showGatewaysOnFailure } from "../support/gateway-process.ts";
import { type Answer, type RestClient, restClient } from "./client.ts";
import { createKey, createNamespace, freshName, type Installation, SETUPS } from "./setups.ts";

showGatewaysOnFailure();

/** How late another gateway may be with a key that was revoked, as its operation says. */
const REVOCATION_MS = 5_000;

describe.each(SETUPS)("what gateways share on $name", ({ start }) => {
  let installation: Installation;
  let a: RestClient;
  let b: RestClient;
  beforeAll(async () => {
    installation = await start();
    a = restClient(installation.a, installation.adminKey);
    b = restClient(installation.b, installation.adminKey);
  }, 120_000);
  afterAll(() => installation?.remove());

  /** Sends `count` requests at once, every other one to the other gateway. */
  const spread = (count: number, send: (client: RestClient, index: number) => Promise<Answer>) =>
    Promise.all(Array.from({ length: count }, (_, index) => send(index % 2 === 0 ? a : b, index)));
  const countOf = (answers: readonly Answer[], status: number) =>
    answers.filter((answer) => answer.status === status).length;

  test("a key revoked at one gateway is refused at the other", async () => {
    const { path } = await createNamespace(a);
    const { secret, keyId } = await createKey(a, path, "viewer");
    const viewer = restClient(installation.b, secret);
    expect((await viewer.get(path)).status).toBe(200);
    const revokedAt = performance.now();
    expect((await a.post(`${path}/keys/${keyId}:revoke`)).body.apiKey.state).toBe("REVOKED");
    const refused = await eventually("the key is refused", async () => {
      const answer = await viewer.get(path);
      return answer.status === 401 ? answer : undefined;
    });
    expect(refused.body.code).toBe("UNAUTHENTICATED");
    expect(performance.now() - revokedAt).toBeLessThan(REVOCATION_MS);
  });

  test("a role taken away at one gateway is gone at the other, and a namespace deleted is too", async () => {
    const { path, namespace } = await createNamespace(a);
    const mine = await createNamespace(a);
    const { secret, keyId } = await createKey(a, mine.path, "viewer");
    const guest = restClient(installation.b, secret);
    expect((await guest.get(path)).status).toBe(404);
    const bound = await a.post(`${path}/roleBindings`, { principalId: `key:${keyId}`, role: "viewer" });
    expect(bound.status).toBe(200);
    await eventually("the guest may read", async () => (await guest.get(path)).status === 200, REVOCATION_MS);
    expect((await a.call("DELETE", `${path}/roleBindings/${bound.body.roleBinding.bindingId}`)).status).toBe(200);
    await eventually("the guest may not read", async () => (await guest.get(path)).status === 404, REVOCATION_MS);

    expect((await b.get(path)).status).toBe(200);
    expect((await a.call("DELETE", path)).body).toEqual({ namespace });
    await eventually("the namespace is gone", async () => (await b.get(path)).status === 404, REVOCATION_MS);
  });

  test("maxQueueDepth holds over both gateways, to the task", async () => {
    const { path } = await createNamespace(a, { maxQueueDepth: 10 });
    const answers = await spread(30, (client) => client.post(`${path}/queues/q/tasks`, { kind: "k" }));
    expect([countOf(answers, 200), countOf(answers, 429)]).toEqual([10, 20]);
    const refused = answers.find(({ status }) => status === 429)!;
    expect(refused.body).toMatchObject({ reason: "QUOTA_EXCEEDED", metadata: { quota: "maxQueueDepth" } });
    expect((await b.get(`${path}/usage`)).body.usage.queueDepth).toEqual({ used: 10, limit: 10 });
  });

  test("maxConcurrentExecutions and a queue's maxConcurrency hold over both gateways", async () => {
    const { path } = await createNamespace(a, { maxConcurrentExecutions: 7 });
    const tasks = Array.from({ length: 20 }, () => ({ kind: "k" }));
    await a.post(`${path}/queues/free/tasks:batchEnqueue`, { tasks });
    await a.post(`${path}/queues/narrow/tasks:batchEnqueue`, { tasks });
    await a.call("PATCH", `${path}/queues/narrow`, { maxConcurrency: 3 });
    const lease = (queue: string) => async (client: RestClient, index: number) =>
      client.post(`${path}/queues/${queue}/tasks:lease`, { workerId: `w${index}`, leaseMs: 60_000, maxTasks: 2 });
    const total = (answers: readonly Answer[]) => answers.reduce((sum, { body }) => sum + body.tasks.length, 0);
    expect(total(await spread(10, lease("narrow")))).toBe(3);
    expect(total(await spread(10, lease("free")))).toBe(4);
  });

  test("a rate limit is one for both gateways, to the request", async () => {
    const { path } = await createNamespace(a, { rateLimitPerMinute: 20 });
    const { secret } = await createKey(a, path, "viewer");
    const clients = [restClient(installation.a, secret), restClient(installation.b, secret)] as const;
    const before = await a.get(`${path}/usage`);
    const used = before.body.usage.requestsPerMinute.used as number;
    const answers = await spread(40, (_, index) => clients[index % 2]!.get(`${path}/queues`));
    // The requests of the set-up counted too: this namespace's own limit is the only one that it meets.
    expect(countOf(answers, 200)).toBeLessThanOrEqual(20 - used);
    expect(countOf(answers, 200)).toBeGreaterThanOrEqual(20 - used - 3);
    expect(countOf(answers, 200) + countOf(answers, 429)).toBe(40);
    const refused = answers.find(({ status }) => status === 429)!;
    expect(refused.body).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED" });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("ratelimit-policy")).toBe('"namespace";q=20;w=60');
    expect(refused.headers.get("ratelimit")).toMatch(/^"namespace";r=0;t=\d+$/);
  });

  test("an Idempotency-Key counts once, at whichever gateway it comes", async () => {
    const { path } = await createNamespace(a);
    const key = freshName("key");
    const send = (client: RestClient, payload: number) =>
      client.post(`${path}/queues/q/tasks`, { kind: "k", payload }, { "idempotency-key": key });
    const together = await spread(6, (client) => send(client, 1));
    // One is first; the others get its answer, or hear that it is still under way.
    for (const { status, body } of together) {
      if (status !== 200) expect([status, body.reason]).toEqual([409, "IDEMPOTENCY_IN_PROGRESS"]);
    }
    const [atA, atB] = [await send(a, 1), await send(b, 1)];
    expect(atA.status).toBe(200);
    expect(atB.body).toEqual(atA.body);
    const other = await send(b, 2);
    expect([other.status, other.body.reason]).toEqual([409, "IDEMPOTENCY_KEY_REUSED"]);
    expect((await a.get(`${path}/tasks`)).body.tasks).toHaveLength(1);
  });

  test("a task's own idempotencyKey is one over both gateways", async () => {
    const { path } = await createNamespace(a);
    const answers = await spread(10, (client) =>
      client.post(`${path}/queues/q/tasks`, { kind: "k", idempotencyKey: "once" }),
    );
    expect(countOf(answers, 200)).toBe(10);
    expect(new Set(answers.map(({ body }) => body.task.taskId)).size).toBe(1);
    expect(answers.filter(({ body }) => !body.duplicate)).toHaveLength(1);
  });

  test("a queue paused at one gateway is paused at the other, and its resume wakes who waits", async () => {
    const { path } = await createNamespace(a);
    await a.post(`${path}/queues/q/tasks`, { kind: "k" });
    expect((await a.post(`${path}/queues/q:pause`, { reason: "maintenance" })).body.queue.paused).toBe(true);
    expect((await b.post(`${path}/queues/q/tasks:lease`, { workerId: "w" })).body.tasks).toEqual([]);
    const waiting = b.post(`${path}/queues/q/tasks:lease`, { workerId: "w", waitMs: 20_000 });
    const resumedAt = performance.now();
    expect((await a.post(`${path}/queues/q:resume`)).body.queue.paused).toBe(false);
    expect((await waiting).body.tasks).toHaveLength(1);
    expect(performance.now() - resumedAt).toBeLessThan(2_000);
  });
});
