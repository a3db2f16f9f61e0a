import { Call, type IncomingCall } from "../core/call.ts";
import type { Dispatcher } from "../core/exchange.ts";
import { createIdGenerator } from "../core/ids.ts";
import { type Logger, silentLogger } from "../core/logger.ts";
import type { AnyOperation, UnaryOperation } from "../core/operation.ts";
import { TENANCY_MIGRATIONS } from "../services/tenancy/index.ts";
import { createTenancyFixture, type TenancyFixture } from "../services/tenancy/test-fixture.ts";
import {
  type CallObserver,
  createDispatcher,
  createInterceptors,
  createMemorySliceSource,
  createPostgresIdempotencyStore,
  createRateLimiter,
  IDEMPOTENCY_MIGRATIONS,
  type IdempotencyStore,
} from "./index.ts";

export interface DispatcherFixture extends TenancyFixture {
  readonly dispatcher: Dispatcher;
  readonly idempotencyStore: IdempotencyStore;
  /** What was logged as an error. */
  readonly logged: { fields: object; message: string }[];
  /** A call by the holder of `key`; the admin where it is left out. */
  call(key?: string, incoming?: Partial<IncomingCall>): Call;
  /** Calls a unary operation. */
  unary(operation: AnyOperation, input: unknown, call?: Call): Promise<unknown>;
}

/** The whole onion around tenancy and whatever else a test defines. */
export async function createDispatcherFixture(
  services: object = {},
  observers: readonly CallObserver[] = [],
): Promise<DispatcherFixture> {
  const tenancy = await createTenancyFixture({}, [...TENANCY_MIGRATIONS, ...IDEMPOTENCY_MIGRATIONS]);
  const logged: DispatcherFixture["logged"] = [];
  const logger: Logger = { ...silentLogger, error: (fields, message) => void logged.push({ fields, message }) };
  const ids = createIdGenerator(tenancy.clock);
  const idempotencyStore = createPostgresIdempotencyStore(tenancy.database);
  const dispatcher = createDispatcher({
    services: { ...tenancy.tenancy.services, ...services },
    logger,
    firstMessageMs: 50,
    interceptors: createInterceptors({
      ids,
      logger,
      authenticator: tenancy.tenancy.authenticator,
      directory: tenancy.tenancy.directory,
      rateLimiter: createRateLimiter(createMemorySliceSource(), tenancy.clock),
      idempotencyStore,
      observers,
      maxCallMs: 10_000,
      maxStreamsPerPrincipal: 2,
      streamRecheckMs: 5,
    }),
  });
  const call = (key = tenancy.adminKey, incoming: Partial<IncomingCall> = {}) =>
    new Call({ protocol: "rest", authorization: `Bearer ${key}`, ...incoming });
  return {
    ...tenancy,
    dispatcher,
    idempotencyStore,
    logged,
    call,
    unary: (operation, input, made = call()) => dispatcher.unary(operation as UnaryOperation<object>, input, made),
  };
}
