import { expect, test } from "vitest";
import { createTestRedisUrl } from "../../test/support/redis.ts";
import type { Clock } from "../core/clock.ts";
import { silentLogger } from "../core/logger.ts";
import { migrate } from "../platform/postgres/migrate.ts";
import { createPgliteDatabase } from "../platform/postgres/pglite-database.ts";
import { createRedis } from "../platform/redis/redis-client.ts";
import { createRateLimiter, type RateDecision } from "./rate-limiter.ts";
import {
  createFallbackSliceSource,
  createMemorySliceSource,
  createPostgresSliceSource,
  createRedisSliceSource,
  RATE_LIMIT_MIGRATIONS,
  type SliceSource,
} from "./slice-sources.ts";

function createSteppedClock(): Clock & { advance(ms: number): void } {
  let ms = 1000;
  const advance = (by: number) => {
    ms += by;
  };
  return { now: () => ms, monotonic: () => ms, advance };
}

/** Counts what every gateway takes from one minute. */
function createCountingSource(clock: Clock): SliceSource & { takes: number; fails: boolean } {
  let consumed = 0;
  let endsAtMs = 0;
  return {
    takes: 0,
    fails: false,
    async take(_namespace, requests, limit) {
      this.takes += 1;
      if (this.fails) throw new Error("down");
      if (clock.monotonic() >= endsAtMs) {
        consumed = 0;
        endsAtMs = clock.monotonic() + 60_000;
      }
      const granted = Math.max(0, Math.min(requests, limit - consumed));
      consumed += requests;
      return { granted, remaining: Math.max(0, limit - consumed), resetMs: endsAtMs - clock.monotonic() };
    },
  };
}

async function countAllowed(attempts: number, take: () => RateDecision | Promise<RateDecision>): Promise<number> {
  const decisions = await Promise.all(Array.from({ length: attempts }, take));
  return decisions.filter(({ isAllowed }) => isAllowed).length;
}

test("a small limit is exact across gateways, also when all ask at once", async () => {
  const clock = createSteppedClock();
  const source = createCountingSource(clock);
  const [one, other] = [createRateLimiter(source, clock), createRateLimiter(source, clock)];
  const allowed = await Promise.all([
    countAllowed(50, () => one.take("space", 60)),
    countAllowed(50, () => other.take("space", 60)),
  ]);
  expect(allowed[0] + allowed[1]).toBe(60);
  clock.advance(60_000);
  expect(await one.take("space", 60)).toMatchObject({ isAllowed: true, state: { limit: 60, windowSeconds: 60 } });
});

test("a large limit is taken in slices, mostly without waiting, and never exceeded", async () => {
  const clock = createSteppedClock();
  const source = createCountingSource(clock);
  const limiter = createRateLimiter(source, clock);
  let allowed = 0;
  let waited = 0;
  for (let request = 0; request < 6000; request += 1) {
    const decision = limiter.take("space", 5000);
    if (decision instanceof Promise) waited += 1;
    if ((await decision).isAllowed) allowed += 1;
  }
  expect(allowed).toBe(5000);
  expect(source.takes).toBeLessThanOrEqual(52);
  expect(waited).toBeLessThanOrEqual(3);
  expect(limiter.used("space")).toBe(5000);
  const refused = await limiter.take("space", 5000);
  expect(refused).toMatchObject({ isAllowed: false, retryAfterMs: 60_000, state: { remaining: 0, resetSeconds: 60 } });
});

test("a raised limit counts within the minute", async () => {
  const clock = createSteppedClock();
  const limiter = createRateLimiter(createCountingSource(clock), clock);
  expect(await countAllowed(3, () => limiter.take("space", 2))).toBe(2);
  expect((await limiter.take("space", 10)).isAllowed).toBe(true);
});

test("requests without a limit are counted for a minute, and nobody is asked for it", () => {
  const clock = createSteppedClock();
  const source = createCountingSource(clock);
  const limiter = createRateLimiter(source, clock);
  expect(limiter.used("space")).toBe(0);
  for (let request = 0; request < 3; request += 1) limiter.count("space");
  limiter.count("another");
  clock.advance(59_999);
  limiter.count("space");
  expect(limiter.used("space")).toBe(4);
  expect(limiter.used("another")).toBe(1);
  clock.advance(1);
  expect(limiter.used("space")).toBe(0);
  limiter.count("space");
  expect(limiter.used("space")).toBe(1);
  expect(source.takes).toBe(0);
});

test("a limit that is set within the minute keeps what was counted before", async () => {
  const clock = createSteppedClock();
  const limiter = createRateLimiter(createCountingSource(clock), clock);
  for (let request = 0; request < 3; request += 1) limiter.count("space");
  await limiter.take("space", 10);
  expect(limiter.used("space")).toBe(4);
});

test("while the shared source is down a gateway counts alone, and asks again later", async () => {
  const clock = createSteppedClock();
  const shared = createCountingSource(clock);
  const source = createFallbackSliceSource(shared, createCountingSource(clock), { clock, logger: silentLogger });
  const limiter = createRateLimiter(source, clock);
  shared.fails = true;
  expect(await countAllowed(5, () => limiter.take("space", 3))).toBe(3);
  expect(shared.takes).toBe(1);
  shared.fails = false;
  clock.advance(60_000);
  expect((await limiter.take("space", 3)).isAllowed).toBe(true);
  expect(shared.takes).toBe(2);
});

test("a source that hangs is left after its time", async () => {
  const clock = createSteppedClock();
  const hanging: SliceSource = { take: () => new Promise(() => {}) };
  const options = { clock, logger: silentLogger, timeoutMs: 5 };
  const source = createFallbackSliceSource(hanging, createMemorySliceSource(), options);
  expect(await source.take("space", 2, 10)).toMatchObject({ granted: 2, remaining: 8 });
});

test("gateways share a minute through Postgres or Redis, and memory counts the same", async () => {
  const database = await createPgliteDatabase();
  await migrate(database, RATE_LIMIT_MIGRATIONS);
  const redis = await createRedis({ url: await createTestRedisUrl() });
  const sources = {
    postgres: createPostgresSliceSource(database),
    redis: createRedisSliceSource(redis.driver),
    memory: createMemorySliceSource(),
  };
  for (const source of Object.values(sources)) {
    expect(await source.take("space", 6, 10)).toMatchObject({ granted: 6, remaining: 4 });
    expect(await source.take("space", 6, 10)).toMatchObject({ granted: 4, remaining: 0 });
    const refused = await source.take("space", 6, 10);
    expect(refused.granted).toBe(0);
    expect(refused.resetMs).toBeGreaterThan(50_000);
    expect(refused.resetMs).toBeLessThanOrEqual(60_000);
    expect(await source.take("another", 1, 10)).toMatchObject({ granted: 1 });
  }
  await database.query("UPDATE rate_limit_windows SET ends_at = now() - interval '1 second'", []);
  expect(await createPostgresSliceSource(database).take("space", 6, 10)).toMatchObject({ granted: 6, remaining: 4 });
  await Promise.all([database.close(), redis.close()]);
});
