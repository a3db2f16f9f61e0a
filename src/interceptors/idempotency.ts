import { hash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AppError, type ErrorCode, type ErrorDetails, invalidArgument, toAppError } from "../core/errors.ts";
import type { Exchange, Interceptor } from "../core/exchange.ts";
import type { IdGenerator } from "../core/ids.ts";
import { canonicalJson } from "../core/json.ts";
import type { Logger } from "../core/logger.ts";
import { type AnyOperation, isRead } from "../core/operation.ts";
import { databaseUnavailable, isOutcomeUnknown, OUTCOME_UNKNOWN } from "../platform/postgres/database-error.ts";
import { CLAIM_MS, type Claim, type ClaimResult, type IdempotencyStore, type Outcome } from "./idempotency-store.ts";
import { openText, sealText } from "./sealed-text.ts";
import { answersSecret } from "./visible-fields.ts";

export interface IdempotencyOptions {
  readonly store: IdempotencyStore;
  readonly ids: IdGenerator;
  readonly logger: Logger;
}

interface StoredError {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly message: string;
  readonly details: ErrorDetails;
}

const KEY = /^[\x20-\x7e]{1,255}$/;
const IN_PROGRESS_RETRY_MS = 1000;
const EXTEND_EVERY_MS = CLAIM_MS / 3;
const SETTLE_AGAIN_MS = 1000;
const MAX_SETTLE_ATTEMPTS = 600;

/** Errors that another attempt may well not meet: they end the attempt and not the key. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  "UNAVAILABLE",
  "INTERNAL",
  "DEADLINE_EXCEEDED",
  "CANCELLED",
  "RESOURCE_EXHAUSTED",
  "ABORTED",
  "UNAUTHENTICATED",
]);

/**
 * A mutation under an Idempotency-Key runs once: repeats within a day are answered as the first was.
 * It stands inside of the deadline, so that an answer that came too late is still there for the repeat.
 */
export function idempotency(options: IdempotencyOptions): Interceptor {
  const carriesSecret = new WeakMap<AnyOperation, boolean>();

  function isSealed(operation: AnyOperation): boolean {
    let sealed = carriesSecret.get(operation);
    if (sealed === undefined) {
      sealed = answersSecret(operation);
      carriesSecret.set(operation, sealed);
    }
    return sealed;
  }

  return (exchange, next) => {
    const { operation, call } = exchange;
    const key = call.incoming.idempotencyKey;
    if (key === undefined || operation.kind !== "unary" || isRead(operation)) return next();
    if (!KEY.test(key)) {
      throw invalidArgument([{ field: "Idempotency-Key", message: "must be 1 to 255 printable ASCII characters" }]);
    }
    return runOnce(exchange, key, isSealed(operation), options, next);
  };
}

async function runOnce(
  exchange: Exchange,
  key: string,
  isSealed: boolean,
  options: IdempotencyOptions,
  next: () => Promise<unknown>,
): Promise<unknown> {
  const { store } = options;
  const claim = claimOf(exchange, key, options.ids.uuid());
  const claimed = await takeClaim(claim, exchange, options);
  if (claimed.state !== "CLAIMED" && !claimed.bodyHash.equals(claim.bodyHash)) throw keyReused();
  if (claimed.state === "RUNNING") throw inProgress();
  if (claimed.state === "DONE") return replay(claimed.outcome, key, claim);

  const renewal = setInterval(() => {
    store.extend(claim).catch((error: unknown) => warn(options.logger, error, exchange));
  }, EXTEND_EVERY_MS);
  try {
    const answer = await next();
    const text = JSON.stringify(answer ?? null);
    await settle(exchange, options, () =>
      store.finish(
        claim,
        isSealed
          ? { kind: "SEALED", content: sealText(text, key, claim.id) }
          : { kind: "ANSWER", content: Buffer.from(text, "utf8") },
      ),
    );
    return answer;
  } catch (thrown) {
    const error = toAppError(thrown);
    await settle(exchange, options, () => end(store, claim, error));
    throw thrown;
  } finally {
    clearInterval(renewal);
  }
}

/** Where the claim itself may have been written unheard, it is taken back: nothing has run. */
async function takeClaim(claim: Claim, exchange: Exchange, options: IdempotencyOptions): Promise<ClaimResult> {
  try {
    return await options.store.claim(claim);
  } catch (error) {
    if (!isOutcomeUnknown(error)) throw error;
    await settle(exchange, options, () => options.store.free(claim));
    throw databaseUnavailable(error);
  }
}

/** Ends the attempt with an error: for good, unless another attempt may well not meet it and cannot do it twice. */
function end(store: IdempotencyStore, claim: Claim, error: AppError): Promise<void> {
  if (isOutcomeUnknown(error)) return store.finish(claim, outcomeOf(outcomeUnknown()));
  return PASSING.has(error.code) ? store.free(claim) : store.finish(claim, outcomeOf(error));
}

/**
 * What is done is done: the caller gets its answer also where it could not be remembered. A database
 * that was away for a moment is asked again, so that a repeat does not run once the claim has ended.
 */
async function settle(exchange: Exchange, { logger }: IdempotencyOptions, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    warn(logger, error, exchange);
    void settleLater(write);
  }
}

async function settleLater(write: () => Promise<void>): Promise<void> {
  for (let attempt = 1; attempt <= MAX_SETTLE_ATTEMPTS; attempt += 1) {
    await delay(SETTLE_AGAIN_MS, undefined, { ref: false });
    const isSettled = await write().then(
      () => true,
      () => false,
    );
    if (isSettled) return;
  }
}

function warn(logger: Logger, error: unknown, { operation, call }: Exchange): void {
  logger.warn(
    { err: error, operation: operation.name, requestId: call.requestId },
    "The outcome of an idempotent call could not be written; it is tried again, and its key stays taken until its claim ends.",
  );
}

function claimOf({ operation, call, input }: Exchange, key: string, token: string): Claim {
  const namespace = call.namespace?.name ?? "";
  return {
    id: hash("sha256", JSON.stringify([call.principal.id, operation.name, namespace, key]), "buffer"),
    namespace,
    bodyHash: hash("sha256", canonicalJson(input), "buffer"),
    token,
  };
}

function replay({ kind, content }: Outcome, key: string, claim: Claim): unknown {
  if (kind === "ERROR") {
    const { code, reason, message, details } = JSON.parse(content.toString("utf8")) as StoredError;
    throw new AppError(code, reason, message, { details });
  }
  return JSON.parse(kind === "SEALED" ? openText(content, key, claim.id) : content.toString("utf8"));
}

function outcomeOf({ code, reason, message, details }: AppError): Outcome {
  const stored: StoredError = { code, reason, message, details };
  return { kind: "ERROR", content: Buffer.from(JSON.stringify(stored), "utf8") };
}

function keyReused(): AppError {
  return new AppError(
    "ALREADY_EXISTS",
    "IDEMPOTENCY_KEY_REUSED",
    "This Idempotency-Key was used for another body within the last day. Send the same body again, or use a new key.",
  );
}

/** What repeats are told. Not UNAVAILABLE, which clients repeat by themselves: it will not change. */
function outcomeUnknown(): AppError {
  return new AppError(
    "ABORTED",
    OUTCOME_UNKNOWN,
    "The first request under this Idempotency-Key lost the database's answer: what it asked for may have been done or not. Look, and if it was not, ask again under a new key.",
  );
}

function inProgress(): AppError {
  return new AppError(
    "ABORTED",
    "IDEMPOTENCY_IN_PROGRESS",
    "A request under this Idempotency-Key is still under way. Try again shortly for its answer.",
    { retryAfterMs: IN_PROGRESS_RETRY_MS },
  );
}
