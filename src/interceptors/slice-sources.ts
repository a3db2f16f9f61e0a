import { type RateLimiterAbstract, RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Database } from "../platform/postgres/database.ts";
import type { Migration } from "../platform/postgres/migrate.ts";

/** A part of a namespace's minute, handed to one gateway. */
export interface Slice {
  /** How many requests it allows; 0 when the minute is used up. */
  readonly granted: number;
  /** What is left for further slices of this minute. */
  readonly remaining: number;
  /** When the minute ends. */
  readonly resetMs: number;
}

/** What all gateways share to count a namespace's requests. */
export interface SliceSource {
  take(namespace: string, requests: number, limitPerMinute: number): Promise<Slice>;
}

const WINDOW_SECONDS = 60;

/** Of what was asked for, what still lay under the limit: the counter has already been raised by all of it. */
function sliceFrom(consumed: number, requests: number, limit: number, resetMs: number): Slice {
  const before = consumed - requests;
  return {
    granted: Math.max(0, Math.min(requests, limit - before)),
    remaining: Math.max(0, limit - consumed),
    resetMs: Math.max(1, resetMs),
  };
}

function createFlexibleSource(limiter: RateLimiterAbstract): SliceSource {
  return {
    async take(namespace, requests, limit) {
      const result = await limiter.consume(namespace, requests).catch((thrown: unknown) => {
        if (thrown instanceof RateLimiterRes) return thrown;
        throw thrown;
      });
      return sliceFrom(result.consumedPoints, requests, limit, result.msBeforeNext);
    },
  };
}

/** Limits differ by namespace and may change within a minute, so the library only counts. */
const COUNT_ONLY = { points: Number.MAX_SAFE_INTEGER, duration: WINDOW_SECONDS } as const;

/** For one gateway alone. */
export function createMemorySliceSource(): SliceSource {
  return createFlexibleSource(new RateLimiterMemory({ ...COUNT_ONLY, keyPrefix: "rate" }));
}

/** For many gateways on one Redis; `client` is an ioredis client or cluster. */
export function createRedisSliceSource(client: object, keyPrefix = "tarl:rate"): SliceSource {
  return createFlexibleSource(
    new RateLimiterRedis({ ...COUNT_ONLY, keyPrefix, storeClient: client, rejectIfRedisNotReady: true }),
  );
}

/** Counters may be lost with a crash of Postgres: a minute later nobody would ask for them. */
export const RATE_LIMIT_MIGRATIONS: readonly Migration[] = [
  {
    id: 140,
    name: "rate limit windows",
    sql: `
      CREATE UNLOGGED TABLE rate_limit_windows (
        namespace text PRIMARY KEY,
        consumed bigint NOT NULL,
        ends_at timestamptz NOT NULL
      ) WITH (fillfactor = 50)`,
  },
];

/** For several gateways that share Postgres and have no Redis. */
export function createPostgresSliceSource(database: Database): SliceSource {
  return {
    async take(namespace, requests, limit) {
      const { rows } = await database.query<{ consumed: number; reset_ms: number }>(
        `INSERT INTO rate_limit_windows AS current (namespace, consumed, ends_at)
         VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
         ON CONFLICT (namespace) DO UPDATE SET
           consumed = CASE WHEN current.ends_at <= clock_timestamp() THEN excluded.consumed
                           ELSE current.consumed + excluded.consumed END,
           ends_at = CASE WHEN current.ends_at <= clock_timestamp() THEN excluded.ends_at ELSE current.ends_at END
         RETURNING consumed, (extract(epoch FROM ends_at - clock_timestamp()) * 1000)::float8 AS reset_ms`,
        [namespace, requests, WINDOW_SECONDS],
      );
      const row = rows[0]!;
      return sliceFrom(row.consumed, requests, limit, row.reset_ms);
    },
  };
}

export interface FallbackOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long a request may wait for the shared source. */
  readonly timeoutMs?: number;
  /** How long to count alone before the shared source is asked again. */
  readonly retryAfterMs?: number;
}

const DEFAULT_TIMEOUT_MS = 250;
const DEFAULT_RETRY_AFTER_MS = 5000;

/** Asks `shared`, and counts alone for a while when it fails or is slow: limits get looser, requests go on. */
export function createFallbackSliceSource(
  shared: SliceSource,
  alone: SliceSource,
  options: FallbackOptions,
): SliceSource {
  const { clock, logger, timeoutMs = DEFAULT_TIMEOUT_MS, retryAfterMs = DEFAULT_RETRY_AFTER_MS } = options;
  let aloneUntilMs = Number.NEGATIVE_INFINITY;
  return {
    async take(namespace, requests, limit) {
      if (clock.monotonic() >= aloneUntilMs) {
        try {
          return await within(timeoutMs, shared.take(namespace, requests, limit));
        } catch (error) {
          aloneUntilMs = clock.monotonic() + retryAfterMs;
          logger.warn({ err: error, retryAfterMs }, "The shared rate limits do not answer; this gateway counts alone.");
        }
      }
      return alone.take(namespace, requests, limit);
    },
  };
}

function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
