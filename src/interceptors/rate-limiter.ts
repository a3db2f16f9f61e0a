import type { RateLimitState } from "../core/call.ts";
import type { Clock } from "../core/clock.ts";
import { createMinuteCounter } from "./rate-limiter-minutes.ts";
import type { SliceSource } from "./slice-sources.ts";

export interface RateDecision {
  readonly isAllowed: boolean;
  readonly state: RateLimitState;
  readonly retryAfterMs: number;
}

export interface RateLimiter {
  /** Takes one request from the namespace's minute. Answers at once unless a new slice must be fetched first. */
  take(namespace: string, limitPerMinute: number): RateDecision | Promise<RateDecision>;
  /** Notes a request of a namespace without a limit, in this gateway's memory. */
  count(namespace: string): void;
  /**
   * Requests of the current minute as this gateway knows them: under a limit those of all gateways,
   * exact to one slice; without one those that came to this gateway.
   */
  used(namespace: string): number;
}

interface Bucket {
  limit: number;
  /** Requests that this gateway may still let pass without asking. */
  left: number;
  /** What the shared source still had when it was last asked. */
  sharedRemaining: number;
  endsAtMs: number;
  isExhausted: boolean;
  waiting: number;
  fetching: Promise<void> | undefined;
}

export const WINDOW_SECONDS = 60;
/** Each slice is this part of the limit: small enough that what other gateways hold unused does not matter. */
const SLICES_PER_WINDOW = 50;
/** Up to this limit every request is taken by itself, because a person would count them. */
const EXACT_LIMIT_PER_MINUTE = 60;
/** Namespaces remembered at once; more only cost their slices. */
const MAX_BUCKETS = 10_000;

/**
 * Counts requests per namespace and minute without asking a store for each: it takes slices of the
 * limit from a source that all gateways share, the next one before the last is used up.
 */
export function createRateLimiter(source: SliceSource, clock: Clock): RateLimiter {
  const buckets = new Map<string, Bucket>();
  const unlimited = createMinuteCounter(clock, MAX_BUCKETS);

  function bucketOf(namespace: string, limit: number, now: number): Bucket {
    let bucket = buckets.get(namespace);
    if (bucket === undefined) {
      if (buckets.size >= MAX_BUCKETS) forgetEnded(buckets, now);
      bucket = emptyBucket(limit);
      buckets.set(namespace, bucket);
    }
    if (now >= bucket.endsAtMs && bucket.endsAtMs !== Number.POSITIVE_INFINITY) {
      Object.assign(bucket, emptyBucket(limit), { waiting: bucket.waiting, fetching: bucket.fetching });
    }
    if (bucket.limit !== limit) {
      bucket.limit = limit;
      bucket.isExhausted = false;
      bucket.left = Math.min(bucket.left, sliceOf(limit));
    }
    return bucket;
  }

  async function fetchSlice(namespace: string, bucket: Bucket): Promise<void> {
    const { limit } = bucket;
    const slice = await source.take(namespace, Math.max(sliceOf(limit), bucket.waiting), limit);
    const endsAtMs = clock.monotonic() + slice.resetMs;
    bucket.left += slice.granted;
    bucket.sharedRemaining = slice.remaining;
    bucket.isExhausted = slice.granted === 0;
    bucket.endsAtMs = endsAtMs;
  }

  function refill(namespace: string, bucket: Bucket): Promise<void> {
    bucket.fetching ??= fetchSlice(namespace, bucket).finally(() => {
      bucket.fetching = undefined;
    });
    return bucket.fetching;
  }

  async function takeSlowly(namespace: string, limit: number): Promise<RateDecision> {
    for (;;) {
      const bucket = bucketOf(namespace, limit, clock.monotonic());
      const decision = decide(bucket, clock.monotonic());
      if (decision) return decision;
      bucket.waiting += 1;
      try {
        await refill(namespace, bucket);
      } finally {
        bucket.waiting -= 1;
      }
    }
  }

  return {
    take(namespace, limit) {
      const now = clock.monotonic();
      const bucket = bucketOf(namespace, limit, now);
      const decision = decide(bucket, now);
      if (decision === undefined) return takeSlowly(namespace, limit);
      const slice = sliceOf(limit);
      if (slice > 1 && bucket.left < slice / 2 && !bucket.isExhausted && bucket.fetching === undefined) {
        // A failure shows when the slice is needed and asked for again.
        refill(namespace, bucket).catch(() => {});
      }
      return decision;
    },
    count: (namespace) => unlimited.add(namespace),
    // Both have something where a limit was set or taken away within the minute.
    used: (namespace) => usedOf(buckets.get(namespace), clock.monotonic()) + unlimited.current(namespace),
  };
}

function emptyBucket(limit: number): Bucket {
  return {
    limit,
    left: 0,
    sharedRemaining: limit,
    endsAtMs: Number.POSITIVE_INFINITY,
    isExhausted: false,
    waiting: 0,
    fetching: undefined,
  };
}

function usedOf(bucket: Bucket | undefined, now: number): number {
  if (bucket === undefined || now >= bucket.endsAtMs || !Number.isFinite(bucket.endsAtMs)) return 0;
  return Math.max(0, bucket.limit - bucket.sharedRemaining - bucket.left);
}

function sliceOf(limit: number): number {
  return limit <= EXACT_LIMIT_PER_MINUTE ? 1 : Math.max(1, Math.floor(limit / SLICES_PER_WINDOW));
}

/** Takes one from what is left; undefined where a slice must be fetched before anything can be said. */
function decide(bucket: Bucket, now: number): RateDecision | undefined {
  if (bucket.left === 0 && !bucket.isExhausted) return undefined;
  const isAllowed = bucket.left > 0;
  if (isAllowed) bucket.left -= 1;
  const resetMs = Math.max(1, bucket.endsAtMs - now);
  return {
    isAllowed,
    retryAfterMs: Math.ceil(resetMs),
    state: {
      limit: bucket.limit,
      windowSeconds: WINDOW_SECONDS,
      remaining: Math.max(0, bucket.left + bucket.sharedRemaining),
      resetSeconds: Math.ceil(resetMs / 1000),
    },
  };
}

function forgetEnded(buckets: Map<string, Bucket>, now: number): void {
  for (const [namespace, bucket] of buckets) {
    if (now >= bucket.endsAtMs && bucket.fetching === undefined) buckets.delete(namespace);
  }
  for (const namespace of buckets.keys()) {
    if (buckets.size < MAX_BUCKETS) return;
    buckets.delete(namespace);
  }
}
