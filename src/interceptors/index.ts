import type { Interceptor } from "../core/exchange.ts";
import type { IdGenerator } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import type { Authenticator, NamespaceDirectory } from "../services/tenancy/index.ts";
import { authenticate } from "./authenticate.ts";
import { authorize } from "./authorize.ts";
import { deadline } from "./deadline.ts";
import { guardStreams } from "./guard-streams.ts";
import { idempotency } from "./idempotency.ts";
import type { IdempotencyStore } from "./idempotency-store.ts";
import { limit } from "./limit.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { type CallObserver, trace } from "./trace.ts";
import { validate } from "./validate.ts";

export { createDispatcher, type DispatcherOptions } from "./dispatcher.ts";
export {
  createPostgresIdempotencyStore,
  IDEMPOTENCY_MIGRATIONS,
  type IdempotencyStore,
  purgeIdempotencyOfNamespace,
} from "./idempotency-store.ts";
export { createRateLimiter, type RateLimiter } from "./rate-limiter.ts";
export {
  createFallbackSliceSource,
  createMemorySliceSource,
  createPostgresSliceSource,
  createRedisSliceSource,
  RATE_LIMIT_MIGRATIONS,
  type SliceSource,
} from "./slice-sources.ts";
export { type CallObserver, type ObservedCall, traceIdOf } from "./trace.ts";
export { parseInput } from "./violations.ts";

export interface OnionOptions {
  readonly ids: IdGenerator;
  readonly logger: Logger;
  readonly authenticator: Authenticator;
  readonly directory: NamespaceDirectory;
  readonly rateLimiter: RateLimiter;
  readonly idempotencyStore: IdempotencyStore;
  readonly observers?: readonly CallObserver[];
  /** How long a call with one answer may take. */
  readonly maxCallMs: number;
  /** How long a stream may stay open; absent: without end. */
  readonly maxStreamMs?: number;
  readonly maxStreamsPerPrincipal?: number;
  /** How often an open stream's credential is checked again. */
  readonly streamRecheckMs?: number;
}

/** The layers around every operation, from the outside in. */
export function createInterceptors(options: OnionOptions): readonly Interceptor[] {
  const { ids, authenticator, directory, maxStreamMs, maxStreamsPerPrincipal, streamRecheckMs } = options;
  return [
    trace(ids, options.observers),
    authenticate(authenticator),
    authorize(directory),
    limit(options.rateLimiter, directory),
    validate(),
    guardStreams({
      authenticator,
      directory,
      ...(maxStreamsPerPrincipal === undefined ? {} : { maxStreamsPerPrincipal }),
      ...(streamRecheckMs === undefined ? {} : { recheckMs: streamRecheckMs }),
    }),
    deadline({ maxMs: options.maxCallMs, ...(maxStreamMs === undefined ? {} : { maxStreamMs }) }),
    idempotency({ store: options.idempotencyStore, ids, logger: options.logger }),
  ];
}
