import type { Call } from "./call.ts";
import type { AnyOperation, BidiOperation, ServerStreamOperation, UnaryOperation } from "./operation.ts";

/** One operation being called: what interceptors see and refine on the way down. */
export interface Exchange {
  readonly operation: AnyOperation;
  readonly call: Call;
  /** As decoded by the transport, until `validate` replaces it by the parsed value. For bidi operations, the first message. */
  input: unknown;
}

/**
 * A layer around every operation. `next` resolves to the answer, or, for streams, to an
 * AsyncIterable of answers that a layer may wrap.
 */
export type Interceptor = (exchange: Exchange, next: () => Promise<unknown>) => Promise<unknown>;

/** What transports call: the whole onion with the operation inside. Every error it throws is an AppError. */
export interface Dispatcher {
  // biome-ignore lint/suspicious/noExplicitAny: transports do not know the services behind an operation.
  unary(operation: UnaryOperation<any>, input: unknown, call: Call): Promise<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  serverStream(operation: ServerStreamOperation<any>, input: unknown, call: Call): AsyncIterable<unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  bidi(operation: BidiOperation<any>, inputs: AsyncIterable<unknown>, call: Call): AsyncIterable<unknown>;
}
