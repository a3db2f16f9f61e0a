import { AppError } from "../../core/errors.ts";

const RETRY_AFTER_MS = 1000;

/** Answers of a server that is there but cannot serve: starting, failing over, full or closed to us. */
const UNAVAILABLE_REPLY =
  /^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|READONLY|OOM|BUSY|MISCONF|NOREPLICAS|NOAUTH|WRONGPASS|NOPERM|UNBLOCKED|ERR max number of clients)/;

/** Says in the gateway's words that Redis is away. An answer that only a bug can cause passes as it is. */
export function mapRedisError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const isBug = error instanceof Error && error.name === "ReplyError" && !UNAVAILABLE_REPLY.test(error.message);
  if (isBug) return error;
  return new AppError("UNAVAILABLE", "REDIS_UNAVAILABLE", "Redis does not answer at the moment. Try again shortly.", {
    retryAfterMs: RETRY_AFTER_MS,
    cause: error,
  });
}
