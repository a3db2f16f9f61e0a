import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Call } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createLocalPubSub } from "../../src/platform/local-pubsub.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createRedis } from "../../src/platform/redis/redis-client.ts";
import { createWakeUps } from "../../src/platform/wake-ups.ts";
import {
  createLeaseResourceStore,
  createLeaseService,
  createPostgresLeaseStore,
  createRedisLeaseStore,
  type LeaseService,
  type LeaseStore,
  leaseMigrations,
} from "../../src/services/leases/index.ts";
import { eventually } from "../support/eventually.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";

const LONG_MS = 60_000;
const SHORT_MS = 100;

interface Setting {
  readonly engine: OpenEngine;
  /** Two gateways on the same stores; only their caches are apart. */
  readonly here: LeaseService;
  readonly there: LeaseService;
  readonly redisServer?: RedisServer;
  flushRedis(): Promise<void>;
  close(): Promise<void>;
}

async function openSetting(openEngine: () => Promise<OpenEngine>, withRedis: boolean): Promise<Setting> {
  const engine = await openEngine();
  await migrate(engine.database, leaseMigrations);
  const redisServer = withRedis ? await startRedis() : undefined;
  const redis = redisServer ? await createRedis({ url: redisServer.url }) : undefined;
  const store: LeaseStore = redis ? createRedisLeaseStore(redis) : createPostgresLeaseStore(engine.database);
  const pubsub = createLocalPubSub();
  const gateway = async () =>
    createLeaseService({
      store,
      resources: createLeaseResourceStore(engine.database),
      freed: await createWakeUps(pubsub, "leases.freed"),
      clock: systemClock,
    });
  return {
    engine,
    here: await gateway(),
    there: await gateway(),
    async flushRedis() {
      await redis?.use((driver) => driver.flushall());
    },
    async close() {
      await redis?.close();
      await redisServer?.stop();
      await engine.close();
    },
  };
}

const settings = [
  ...databaseEngines.map(({ name, open }) => ({ name, open: () => openSetting(open, false) })),
  { name: "Postgres and Redis", open: () => openSetting(databaseEngines[1]!.open, true) },
];

const newCall = () => new Call({ protocol: "rest" });
const newName = () => `lease-${randomUUID()}`;
const request = (leaseName: string, holder: string, ttlMs = LONG_MS, waitMs = 0) => ({
  namespace: "default",
  leaseName,
  holder,
  ttlMs,
  waitMs,
  metadata: { job: "nightly" },
});
const held = expect.objectContaining({ code: "ABORTED", reason: "LEASE_HELD" });
const lost = expect.objectContaining({ code: "ABORTED", reason: "LEASE_LOST" });

describe.each(settings)("leases on $name", ({ name, open }) => {
  let setting: Setting;
  let here: LeaseService;
  let there: LeaseService;
  beforeAll(async () => {
    setting = await open();
    ({ here, there } = setting);
  });
  afterAll(() => setting.close());

  test("one holds it, the other is told who and until when; released, it goes on with a higher fence", async () => {
    const leaseName = newName();
    const first = await here.acquire(request(leaseName, "a"), newCall());
    expect(first).toMatchObject({ leaseName, state: "HELD", holder: "a", metadata: { job: "nightly" } });
    const refused = await there.acquire(request(leaseName, "b"), newCall()).catch((error) => error);
    expect(refused).toEqual(held);
    expect(refused.retryAfterMs).toBeGreaterThan(LONG_MS / 2);
    expect(refused.retryAfterMs).toBeLessThanOrEqual(LONG_MS + 1);

    const released = await here.release({ namespace: "default", leaseName, fence: first.fence });
    expect(released).toMatchObject({ state: "FREE", fence: first.fence });
    expect(released).not.toHaveProperty("holder");
    expect(await here.release({ namespace: "default", leaseName, fence: first.fence })).toEqual(released);
    const second = await there.acquire(request(leaseName, "b"), newCall());
    expect(second.fence).toBeGreaterThan(first.fence);
    await expect(here.release({ namespace: "default", leaseName, fence: first.fence })).rejects.toEqual(lost);
    await expect(here.heartbeat({ namespace: "default", leaseName, fence: first.fence })).rejects.toEqual(lost);
    expect(await here.get("default", leaseName)).toMatchObject({ state: "HELD", holder: "b", fence: second.fence });
  });

  test("the holder that asks again keeps its fence", async () => {
    const leaseName = newName();
    const first = await here.acquire(request(leaseName, "a", 1000), newCall());
    const again = await there.acquire(request(leaseName, "a", LONG_MS), newCall());
    expect(again.fence).toBe(first.fence);
    expect(Date.parse(again.expiresAt!)).toBeGreaterThan(Date.parse(first.expiresAt!));
  });

  test("one that its holder never heard of is free again at once", async () => {
    const leaseName = newName();
    const call = newCall();
    await here.acquire(request(leaseName, "a"), call);
    call.undelivered();
    const next = await there.acquire(request(leaseName, "b", LONG_MS, 4_000), newCall());
    expect(next).toMatchObject({ state: "HELD", holder: "b" });
  });

  test("a lost answer takes nothing from a holder that asked again, or had it before", async () => {
    const leaseName = newName();
    const [lost, repeat] = [newCall(), newCall()];
    const first = await here.acquire(request(leaseName, "a"), lost);
    const again = await there.acquire(request(leaseName, "a", 2 * LONG_MS), repeat);
    lost.undelivered();
    repeat.undelivered();
    // What is taken back is taken back before this is answered: both ask the same stores in their order.
    expect(await here.get("default", leaseName)).toMatchObject({ state: "HELD", fence: first.fence });
    const beat = await here.heartbeat({ namespace: "default", leaseName, fence: again.fence });
    expect(beat).toMatchObject({ holder: "a", fence: first.fence });
  });

  test("a heartbeat extends, on any gateway", async () => {
    const leaseName = newName();
    const { fence, expiresAt } = await here.acquire(request(leaseName, "a"), newCall());
    const beat = await there.heartbeat({ namespace: "default", leaseName, fence, ttlMs: 2 * LONG_MS });
    expect(Date.parse(beat.expiresAt!)).toBeGreaterThanOrEqual(Date.parse(expiresAt!) + LONG_MS);
    expect(await here.get("default", leaseName)).toEqual(beat);
  });

  test("who waits gets it the moment it is released", async () => {
    const leaseName = newName();
    const { fence } = await here.acquire(request(leaseName, "a"), newCall());
    const waiting = there.acquire(request(leaseName, "b", LONG_MS, 30_000), newCall());
    await here.release({ namespace: "default", leaseName, fence });
    expect(await waiting).toMatchObject({ holder: "b", state: "HELD" });
  });

  test("who waits gets it when the holder's time is up, and its old fence is worth nothing", async () => {
    const leaseName = newName();
    const { fence } = await here.acquire(request(leaseName, "a", SHORT_MS), newCall());
    const next = await there.acquire(request(leaseName, "b", LONG_MS, 30_000), newCall());
    expect(next.fence).toBeGreaterThan(fence);
    await expect(here.heartbeat({ namespace: "default", leaseName, fence })).rejects.toEqual(lost);
  });

  test("waiting ends with its time, and with the client", async () => {
    const leaseName = newName();
    await here.acquire(request(leaseName, "a"), newCall());
    await expect(there.acquire(request(leaseName, "b", LONG_MS, 50), newCall())).rejects.toEqual(held);
    const call = newCall();
    const waiting = there.acquire(request(leaseName, "b", LONG_MS, 30_000), call);
    call.abort();
    await expect(waiting).rejects.toMatchObject({ code: "CANCELLED" });
  });

  test("many at once: each acquisition has a fence of its own, growing in the order in which they held it", async () => {
    const leaseName = newName();
    const fences: number[] = [];
    let holders = 0;
    const work = async (holder: string, gateway: LeaseService) => {
      for (let round = 0; round < 10; round += 1) {
        const { fence } = await gateway.acquire(request(leaseName, holder, LONG_MS, 30_000), newCall());
        holders += 1;
        expect(holders).toBe(1);
        fences.push(fence);
        holders -= 1;
        await gateway.release({ namespace: "default", leaseName, fence });
      }
    };
    await Promise.all([work("a", here), work("b", there), work("c", here), work("d", there)]);
    expect(fences).toHaveLength(40);
    expect(fences).toEqual([...new Set(fences)].sort((left, right) => left - right));
  });

  test("of many who find it free, exactly one gets it", async () => {
    for (let round = 0; round < 10; round += 1) {
      const leaseName = newName();
      const answers = await Promise.allSettled(
        Array.from({ length: 8 }, (_, index) =>
          (index % 2 ? here : there).acquire(request(leaseName, `holder-${index}`), newCall()),
        ),
      );
      expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const answer of answers) if (answer.status === "rejected") expect(answer.reason).toEqual(held);
    }
  });

  test("what ran out is swept: free for all to see, lost for its holder", async () => {
    const leaseName = newName();
    const { fence } = await here.acquire(request(leaseName, "a", SHORT_MS), newCall());
    await eventually("it is swept", async () => (await there.sweep()) > 0);
    expect(await here.get("default", leaseName)).toMatchObject({ state: "FREE", fence });
    await expect(here.heartbeat({ namespace: "default", leaseName, fence })).rejects.toEqual(lost);
  });

  test("pages go through all leases of the namespace once, by name", async () => {
    const namespace = `pages-${randomUUID()}`;
    for (const leaseName of ["c", "A", "b", "a/b", "z"]) {
      await here.acquire({ ...request(leaseName, "h"), namespace }, newCall());
    }
    const names: string[] = [];
    let pageToken: string | undefined;
    do {
      const page = await here.list({ namespace, pageSize: 2, pageToken });
      expect(page.leases.every((lease) => lease.state === "HELD")).toBe(true);
      names.push(...page.leases.map((lease) => lease.leaseName));
      pageToken = page.nextPageToken;
    } while (pageToken);
    expect(names).toEqual(["A", "a/b", "b", "c", "z"]);
    await here.removeNamespace(namespace);
    expect(await here.list({ namespace, pageSize: 2 })).toEqual({ leases: [] });
  });

  test("what was never leased is not found", async () => {
    const missing = { code: "NOT_FOUND", reason: "LEASE_NOT_FOUND" };
    const leaseName = newName();
    await expect(here.get("default", leaseName)).rejects.toMatchObject(missing);
    await expect(here.heartbeat({ namespace: "default", leaseName, fence: 1 })).rejects.toMatchObject(missing);
    await expect(here.release({ namespace: "default", leaseName, fence: 1 })).rejects.toMatchObject(missing);
  });

  if (name === "Postgres and Redis") {
    test("when Redis loses everything, the holder goes on with its next heartbeat", async () => {
      const leaseName = newName();
      const { fence } = await here.acquire(request(leaseName, "a"), newCall());
      await setting.flushRedis();
      await expect(there.acquire(request(leaseName, "b"), newCall())).rejects.toEqual(held);
      expect(await here.heartbeat({ namespace: "default", leaseName, fence })).toMatchObject({ fence, state: "HELD" });
    });

    test("when Redis loses everything, another takes over after what the holder was promised, and not before", async () => {
      const leaseName = newName();
      const { fence } = await here.acquire(request(leaseName, "a", SHORT_MS), newCall());
      const beat = await here.heartbeat({ namespace: "default", leaseName, fence, ttlMs: 1_000 });
      await setting.flushRedis();
      const next = await there.acquire(request(leaseName, "b", LONG_MS, 30_000), newCall());
      expect(next.fence).toBeGreaterThan(fence);
      expect(Date.parse(next.acquiredAt)).toBeGreaterThanOrEqual(Date.parse(beat.expiresAt!));
      await expect(here.heartbeat({ namespace: "default", leaseName, fence })).rejects.toEqual(lost);
    });
  }
});
