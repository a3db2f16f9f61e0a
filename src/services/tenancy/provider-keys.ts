import { setTimeout as sleep } from "node:timers/promises";
import { createLocalJWKSet, errors, type JWTVerifyGetKey } from "jose";
import type { Clock } from "../../core/clock.ts";
import { AppError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { fetchKeySet } from "./fetch-key-set.ts";

export interface ProviderKeysOptions {
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Lets time pass; only tests have another. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

interface KnownKeys {
  readonly find: JWTVerifyGetKey;
  /** The question that they are the answer to, counted from 1. */
  readonly question: number;
  readonly askedAtMs: number;
}

/** A withdrawn key is heard of after this long. */
const FRESH_FOR_MS = 10 * 60_000;
/** While the provider is away, keys that were good are used until they are this old. */
const USABLE_FOR_MS = 60 * 60_000;
/** From one question to the next; so long may a token with a new key have to wait. */
const ASK_EVERY_MS = 1000;
const RETRY_AFTER_MS = 2000;
const MAX_WAITING = 1000;

/** The questions put to a provider: one at a time, for all who wait for its answer, and not too many. */
interface Questions {
  /** How many were begun. */
  count(): number;
  /** Whether the last one had no good answer. */
  hasFailed(): boolean;
  ask(): Promise<KnownKeys>;
}

/**
 * The keys of an identity provider, asked for when a token needs them. A token is refused for an unknown
 * key only by keys that were asked for after it came, so a new key is good as soon as it is published.
 */
export function createProviderKeys(options: ProviderKeysOptions): JWTVerifyGetKey {
  const { clock } = options;
  const questions = createQuestions(options);
  let known: KnownKeys | undefined;

  async function refresh(): Promise<KnownKeys> {
    known = await questions.ask();
    return known;
  }

  async function usable(): Promise<KnownKeys> {
    if (known === undefined) return refresh();
    const old = known;
    const ageMs = clock.monotonic() - old.askedAtMs;
    if (ageMs < FRESH_FOR_MS) return old;
    if (ageMs >= USABLE_FOR_MS) return refresh();
    const isAway = questions.hasFailed();
    const current = refresh().catch(() => old);
    // Where it is known to be away, nobody waits to hear it again.
    return isAway ? old : current;
  }

  return async (header, token) => {
    const questionsBefore = questions.count();
    let keys = await usable();
    for (;;) {
      try {
        return await keys.find(header, token);
      } catch (thrown) {
        if (!(thrown instanceof errors.JWKSNoMatchingKey)) throw blame(thrown);
        if (keys.question > questionsBefore) throw thrown;
      }
      keys = await refresh();
    }
  };
}

function createQuestions(options: ProviderKeysOptions): Questions {
  const { issuer, jwksUrl, clock, logger, pause = (ms) => sleep(ms, undefined, { ref: false }) } = options;
  let count = 0;
  let lastAskedAtMs = Number.NEGATIVE_INFINITY;
  let failure: AppError | undefined;
  let asking: Promise<KnownKeys> | undefined;
  let waiting = 0;

  async function askInTurn(): Promise<KnownKeys> {
    const waitMs = lastAskedAtMs + ASK_EVERY_MS - clock.monotonic();
    if (waitMs > 0) {
      if (failure) throw failure;
      await pause(waitMs);
    }
    count += 1;
    lastAskedAtMs = clock.monotonic();
    const asked = { question: count, askedAtMs: lastAskedAtMs };
    try {
      const find = createLocalJWKSet(await fetchKeySet(jwksUrl));
      if (failure) logger.info({ issuer }, "The identity provider's keys can be fetched again.");
      failure = undefined;
      return { find, ...asked };
    } catch (thrown) {
      if (!failure) logger.warn({ err: thrown, issuer }, "The identity provider's keys cannot be fetched.");
      failure = providerUnavailable(thrown);
      throw failure;
    }
  }

  return {
    count: () => count,
    hasFailed: () => failure !== undefined,
    async ask() {
      if (waiting >= MAX_WAITING) throw providerUnavailable();
      waiting += 1;
      asking ??= askInTurn().finally(() => {
        asking = undefined;
      });
      try {
        return await asking;
      } finally {
        waiting -= 1;
      }
    },
  };
}

/** A key that the token names and that is damaged is the provider's fault, all else the token's. */
function blame(thrown: unknown): unknown {
  const isOfToken = thrown instanceof errors.JWKSMultipleMatchingKeys || thrown instanceof errors.JOSENotSupported;
  return isOfToken ? thrown : providerUnavailable(thrown);
}

export function providerUnavailable(cause?: unknown): AppError {
  return new AppError(
    "UNAVAILABLE",
    "IDENTITY_PROVIDER_UNAVAILABLE",
    "The identity provider's keys cannot be had at the moment, so tokens cannot be checked. Try again shortly.",
    { retryAfterMs: RETRY_AFTER_MS, ...(cause === undefined ? {} : { cause }) },
  );
}
