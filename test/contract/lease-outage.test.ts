import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Call } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createLocalPubSub } from "../../src/platform/local-pubsub.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { createRedis } from "../../src/platform/redis/redis-client.ts";
import { createWakeUps } from "../../src/platform/wake-ups.ts";
import {
  createFailoverLeaseStore,
  createLeaseCharge,
  createLeaseResourceStore,
  createLeaseService,
  createPostgresLeaseStore,
  createRedisLeaseStore,
  type LeaseService,
  type LeaseStore,
} from "../../src/services/leases/index.ts";
import { eventually } from "../support/eventually.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { databaseEngines } from "./engines.ts";
import { createTasksFixture, held, migrateTasks, NAMESPACE, type TasksFixture } from "./tasks-fixture.ts";

const LONG_MS = 60_000;
/** How long a lease may seem to live in the half that was left, as docs/leases.md says. */
const STALENESS_MS = 2_000;

interface Gateway {
  readonly store: LeaseStore;
  readonly tasks: TasksFixture;
  readonly leases: LeaseService;
  /** Its way to Redis. */
  readonly proxy: TcpProxy;
  isFailedOver(): boolean;
  close(): Promise<void>;
}

type ResourceStore = ReturnType<typeof createLeaseResourceStore>;

let database: Database;
let redisServer: RedisServer;
let a: Gateway;
let b: Gateway;
const cleanups: (() => Promise<void>)[] = [];

beforeEach(async () => {
  const engine = await databaseEngines[1]!.open();
  cleanups.push(() => engine.close());
  database = engine.database;
  await migrateTasks(database);
  // It keeps what it knows, so that what it knew before it died is there, out of date, when it comes back.
  redisServer = await startRedis({ settings: { appendonly: "yes", appendfsync: "always" } });
  cleanups.push(() => redisServer.stop());
  a = await openGateway();
  b = await openGateway();
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function openGateway(): Promise<Gateway> {
  const proxy = await startTcpProxy(redisServer.port);
  const redis = await createRedis({ url: `redis://127.0.0.1:${proxy.port}`, commandTimeoutMs: 500 });
  let failedOver = false;
  const store = createFailoverLeaseStore({
    primary: createRedisLeaseStore(redis),
    secondary: createPostgresLeaseStore(database),
    charge: createLeaseCharge(database, { quietMs: 600 }),
    retryPrimaryAfterMs: 100,
    onFailover: (value) => {
      failedOver = value;
    },
  });
  const tasks = await createTasksFixture(database, { leases: store });
  const gateway: Gateway = {
    store,
    tasks,
    proxy,
    leases: await leaseService(store),
    isFailedOver: () => failedOver,
    async close() {
      await tasks.close();
      store.close();
      await redis.close();
      await proxy.stop();
    },
  };
  cleanups.push(gateway.close);
  return gateway;
}

async function leaseService(store: LeaseStore, resources: Partial<ResourceStore> = {}): Promise<LeaseService> {
  return createLeaseService({
    store,
    resources: { ...createLeaseResourceStore(database), ...resources },
    freed: await createWakeUps(createLocalPubSub(), "leases.freed"),
    clock: systemClock,
  });
}

const acquire = (leases: LeaseService, holder: string, ttlMs = LONG_MS, waitMs = 0) =>
  leases.acquire(
    { namespace: NAMESPACE, leaseName: "name", holder, ttlMs, waitMs, metadata: {} },
    new Call({ protocol: "rest" }),
  );
const beat = (leases: LeaseService, fence: number, ttlMs?: number) =>
  leases.heartbeat({ namespace: NAMESPACE, leaseName: "name", fence, ttlMs });
const heldByAnother = expect.objectContaining({ code: "ABORTED", reason: "LEASE_HELD" });
const lost = expect.objectContaining({ code: "ABORTED", reason: "LEASE_LOST" });
const isHeld = (leases: LeaseService, fence: number) =>
  beat(leases, fence).then(
    () => true,
    () => false,
  );

/** Until the gateway keeps leases in Postgres, or in Redis again. */
const until = (gateway: Gateway, isFailedOver: boolean) =>
  eventually(`it has ${isFailedOver ? "left Redis" : "come back to Redis"}`, async () => {
    await gateway.store.now();
    return gateway.isFailedOver() === isFailedOver;
  });

const FAULTS = {
  "Redis is killed": () => redisServer.kill(),
  "Redis hangs": async () => redisServer.signal("SIGSTOP"),
  "Redis forgets everything": async () => {
    const redis = await createRedis({ url: redisServer.url });
    await redis.use((driver) => driver.flushall());
    await redis.close();
  },
  "Redis is restarted": async () => {
    await redisServer.kill();
    await redisServer.restart();
  },
  "Redis restarts empty": async () => {
    await FAULTS["Redis forgets everything"]();
    await FAULTS["Redis is restarted"]();
  },
  "one gateway loses Redis": async () => b.proxy.cut(),
};

describe.each(Object.entries(FAULTS))("when %s", (_, strike) => {
  afterEach(() => {
    try {
      redisServer.signal("SIGCONT");
    } catch {
      // It was killed.
    }
  });

  test("a worker keeps its task for as long as it was promised, and a dead one's comes back", async () => {
    await a.tasks.enqueueBatch([{}, {}, {}]);
    const [alive, beating, dead] = await a.tasks.lease({ maxTasks: 3, leaseMs: 700 });
    await b.tasks.executions.heartbeat({ ...held(alive!), leaseMs: LONG_MS });
    await strike();
    await a.tasks.start();
    await b.tasks.start();
    const get = async (taskId: string) => (await a.tasks.tasks.get(NAMESPACE, taskId))!;
    await eventually(
      "the dead worker's task comes back",
      async () => {
        await b.tasks.executions.heartbeat({ ...held(beating!), leaseMs: 1_000 });
        return (await get(dead!.taskId)).state === "READY";
      },
      15_000,
    );
    for (const task of [alive!, beating!]) {
      expect(await get(task.taskId)).toMatchObject({ state: "LEASED", attempt: 1, failures: [] });
      expect((await a.tasks.executions.complete(held(task))).state).toBe("COMPLETED");
    }
  }, 40_000);

  test("what somebody holds is not given to another before its time, and his is the last word then", async () => {
    const x = await acquire(a.leases, "x", 1_000);
    const last = await beat(b.leases, x.fence, 3_000);
    await strike();
    await expect(acquire(b.leases, "y", LONG_MS)).rejects.toEqual(heldByAnother);
    await expect(acquire(a.leases, "y", LONG_MS)).rejects.toEqual(heldByAnother);
    const y = await acquire(b.leases, "y", LONG_MS, 20_000);
    expect(Date.parse(y.acquiredAt)).toBeGreaterThanOrEqual(Date.parse(last.expiresAt!));
    await expect(beat(a.leases, x.fence)).rejects.toEqual(lost);
    await expect(beat(b.leases, x.fence)).rejects.toEqual(lost);
    expect(await beat(b.leases, y.fence)).toMatchObject({ holder: "y" });
  }, 40_000);
});

test("a holder that heartbeats through a gateway that has Redis keeps its lease, though another gateway has lost Redis", async () => {
  const x = await acquire(a.leases, "x", 500);
  b.proxy.cut();
  const refused = acquire(b.leases, "y", LONG_MS, 4_000);
  let isOver = false;
  const waiting = refused
    .catch((error: unknown) => error)
    .finally(() => {
      isOver = true;
    });
  await eventually("y has waited in vain", async () => {
    expect(await beat(a.leases, x.fence)).toMatchObject({ holder: "x" });
    return isOver;
  });
  expect(await waiting).toEqual(heldByAnother);
  await until(a, true);
  b.proxy.mend();
  await until(b, false);
  await until(a, false);
  expect(await beat(a.leases, x.fence)).toMatchObject({ holder: "x" });
}, 30_000);

test("two holders are never told that they hold it, whichever of two gateways loses Redis and when", async () => {
  const told: { fence: number; fromMs: number; untilMs: number }[] = [];
  let isOver = false;
  const hold = async (leases: LeaseService, holder: string) => {
    while (!isOver) {
      const lease = await acquire(leases, holder, 600, 5_000).catch(() => undefined);
      if (!lease) continue;
      const mine = { fence: lease.fence, fromMs: Date.now(), untilMs: Date.now() };
      told.push(mine);
      // It heartbeats through both gateways, and then leaves the lease to run out.
      for (let beats = 0; beats < 40; beats += 1) {
        if (!(await isHeld(beats % 2 ? a.leases : b.leases, lease.fence))) break;
        mine.untilMs = Date.now();
      }
    }
  };
  const faults = async () => {
    for (const { proxy } of [b, a]) {
      const before = told.length;
      await eventually("a lease was given", () => told.length > before);
      proxy.cut();
      await Promise.all([until(a, true), until(b, true)]);
      await eventually("two more were given", () => told.length > before + 2, 20_000);
      proxy.mend();
      await Promise.all([until(a, false), until(b, false)]);
    }
  };
  const striking = faults().finally(() => {
    isOver = true;
  });
  await Promise.all([hold(a.leases, "x"), hold(b.leases, "y"), striking]);
  const inOrder = told.toSorted((left, right) => left.fence - right.fence);
  for (const [index, { untilMs }] of inOrder.entries()) {
    const next = inOrder[index + 1];
    if (next) expect(next.fromMs).toBeGreaterThanOrEqual(untilMs - STALENESS_MS);
  }
}, 60_000);

describe("a lease that was lost while Redis was away stays lost when it is back", () => {
  test("a task that was released", async () => {
    await a.tasks.enqueue();
    const [task] = await a.tasks.lease({ leaseMs: LONG_MS });
    await redisServer.kill();
    await until(a, true);
    await a.tasks.executions.release({ ...held(task!), delayMs: 0 });
    await redisServer.restart();
    for (const gateway of [a, b]) {
      await until(gateway, false);
      await expect(gateway.tasks.executions.heartbeat({ ...held(task!), leaseMs: LONG_MS })).rejects.toEqual(lost);
    }
  });

  test("a task that another worker was given by a gateway that is gone", async () => {
    const gone = await openGateway();
    await a.tasks.enqueue();
    const [task] = await a.tasks.lease({ leaseMs: LONG_MS });
    await redisServer.kill();
    await gone.tasks.executions.release({ ...held(task!), delayMs: 0 });
    const [again] = await gone.tasks.lease({ leaseMs: LONG_MS });
    expect(again!.fence).toBe(2);
    gone.proxy.cut();
    await Promise.all([until(a, true), until(b, true)]);
    await redisServer.restart();
    for (const gateway of [a, b]) {
      await until(gateway, false);
      await expect(gateway.tasks.executions.heartbeat({ ...held(task!), leaseMs: LONG_MS })).rejects.toEqual(lost);
      await gateway.tasks.executions.heartbeat({ ...held(again!), leaseMs: LONG_MS });
    }
  });

  test("a named lease", async () => {
    const x = await acquire(a.leases, "x");
    await redisServer.kill();
    await b.leases.release({ namespace: NAMESPACE, leaseName: "name", fence: x.fence });
    const y = await acquire(b.leases, "y");
    await Promise.all([until(a, true), until(b, true)]);
    await redisServer.restart();
    for (const gateway of [a, b]) {
      await until(gateway, false);
      await expect(beat(gateway.leases, x.fence)).rejects.toEqual(lost);
      expect(await beat(gateway.leases, y.fence)).toMatchObject({ holder: "y" });
    }
  });
});

describe("between a look and what comes of it", () => {
  test("a gateway dies that has taken a lease: the holder before hears that it is lost", async () => {
    const x = await acquire(a.leases, "x", 200);
    const dying: LeaseStore = { ...b.store, grant: () => Promise.reject(new Error("killed")) };
    await expect(acquire(await leaseService(dying), "y", LONG_MS, 5_000)).rejects.toThrow("killed");
    await expect(beat(a.leases, x.fence)).rejects.toEqual(lost);
    await expect(acquire(a.leases, "z")).rejects.toEqual(heldByAnother);
  });

  test("a gateway dies that has released a lease in one half: what its holder hears is what others hear", async () => {
    const x = await acquire(a.leases, "x");
    const dying = await leaseService({ ...b.store, release: () => Promise.reject(new Error("killed")) }, {
      free: () => Promise.reject(new Error("killed")),
    } as Partial<ResourceStore>);
    await expect(dying.release({ namespace: NAMESPACE, leaseName: "name", fence: x.fence })).rejects.toThrow("killed");
    expect(await beat(a.leases, x.fence)).toMatchObject({ holder: "x" });
    await expect(acquire(b.leases, "y")).rejects.toEqual(heldByAnother);
  });

  test("a late heartbeat comes while another acquires: only one of them holds it", async () => {
    const x = await acquire(a.leases, "x", 200);
    await eventually("it is past", async () => (await a.store.expired("leases", 1)).length > 0);
    const answers: boolean[] = [];
    const { take } = createLeaseResourceStore(database);
    const slow = await leaseService(b.store, {
      async take(lease, seen) {
        if (answers.length === 0) answers.push(await isHeld(a.leases, x.fence));
        return take(lease, seen);
      },
    });
    await expect(acquire(slow, "y")).rejects.toEqual(heldByAnother);
    expect(answers).toEqual([true]);
    expect(await beat(a.leases, x.fence)).toMatchObject({ holder: "x" });
  });

  test("a late heartbeat comes while the lease is swept: its holder keeps it", async () => {
    const x = await acquire(a.leases, "x", 200);
    await eventually("it is past", async () => (await a.store.expired("leases", 1)).length > 0);
    const store: LeaseStore = {
      ...b.store,
      async expired(space, limit) {
        const found = await b.store.expired(space, limit);
        await beat(a.leases, x.fence, LONG_MS);
        return found;
      },
    };
    expect(await (await leaseService(store)).sweep()).toBe(0);
    expect(await a.leases.get(NAMESPACE, "name")).toMatchObject({ state: "HELD", holder: "x" });
    await expect(acquire(b.leases, "y")).rejects.toEqual(heldByAnother);
  });

  test("a gateway that was frozen grants nothing over the head of a newer holder", async () => {
    let other: { fence: number } | undefined;
    const frozen: LeaseStore = {
      ...a.store,
      async grant(space, partition, leases) {
        // Long enough for its lease to end and another to be given.
        other ??= await acquire(b.leases, "y", LONG_MS, 10_000);
        return a.store.grant(space, partition, leases);
      },
    };
    await expect(acquire(await leaseService(frozen), "x", 200)).rejects.toEqual(heldByAnother);
    expect(await beat(a.leases, other!.fence)).toMatchObject({ holder: "y" });
  }, 20_000);
});

test("tasks whose leases could not be granted are given back", async () => {
  const leases: LeaseStore = { ...a.store, grant: () => Promise.reject(new Error("hangs")) };
  const broken = await createTasksFixture(database, { leases });
  cleanups.push(() => broken.close());
  const task = await a.tasks.enqueue();
  await expect(broken.lease()).rejects.toThrow("hangs");
  expect(await a.tasks.tasks.get(NAMESPACE, task.taskId)).toMatchObject({ state: "READY", attempt: 0 });
});
