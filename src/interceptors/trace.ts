import type { AppError } from "../core/errors.ts";
import type { Exchange, Interceptor } from "../core/exchange.ts";
import type { IdGenerator } from "../core/ids.ts";
import { callError } from "./call-error.ts";
import { withEnd } from "./streams.ts";

/** One call being watched. */
export interface ObservedCall {
  /** Runs `work` within the call's context, so that what it starts belongs to the call's span. */
  run<R>(work: () => R): R;
  /** The call is over; called exactly once. */
  end(error?: AppError): void;
}

/** Sees every call begin and end: spans and metrics stand behind it. */
export interface CallObserver {
  /** Answers undefined for calls it does not watch. May set `call.traceId`. */
  begin(exchange: Exchange): ObservedCall | undefined;
}

// version-traceid-parentid-flags; all zeros are invalid (W3C Trace Context section 3.2.2).
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** The trace id that came in, or nothing where the header is not one. */
export function traceIdOf(traceparent: string | undefined): string {
  if (traceparent === undefined) return "";
  return TRACEPARENT.exec(traceparent)?.[1] ?? "";
}

/** Names the request and lets the observers watch it. The outermost layer: it sees every error. */
export function trace(ids: IdGenerator, observers: readonly CallObserver[] = []): Interceptor {
  return (exchange, next) => {
    const { call } = exchange;
    const { requestId, traceparent } = call.incoming;
    call.requestId = requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : ids.uuid();
    call.traceId = traceIdOf(traceparent);
    const observed: ObservedCall[] = [];
    for (const observer of observers) {
      const one = observer.begin(exchange);
      if (one) observed.push(one);
    }
    return observed.length === 0 ? next() : watch(exchange, observed, next);
  };
}

async function watch(
  exchange: Exchange,
  observed: readonly ObservedCall[],
  next: () => Promise<unknown>,
): Promise<unknown> {
  const run = <R>(work: () => R): R => observed.reduceRight<() => R>((inner, one) => () => one.run(inner), work)();
  const end = (thrown?: unknown) => {
    const error = thrown === undefined ? undefined : callError(thrown, exchange.call);
    for (const one of observed) one.end(error);
  };
  try {
    const answer = await run(next);
    if (exchange.operation.kind !== "unary") return withEnd(answer as AsyncIterable<unknown>, end, run);
    end();
    return answer;
  } catch (thrown) {
    end(thrown);
    throw thrown;
  }
}
