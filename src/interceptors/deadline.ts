import type { Call } from "../core/call.ts";
import { AppError } from "../core/errors.ts";
import type { Interceptor } from "../core/exchange.ts";
import { abortable, withEnd } from "./streams.ts";

export interface DeadlineOptions {
  /** How long a call with one answer may take; clients may ask for less. */
  readonly maxMs: number;
  /** How long a stream may stay open; clients may ask for less. Absent: as long as they like. */
  readonly maxStreamMs?: number;
}

/** The longest that setTimeout can wait. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Answers in time whatever the operation does: a handler that ignores its signal goes on alone, and
 * its caller is told DEADLINE_EXCEEDED or, where the client has gone, CANCELLED.
 */
export function deadline(options: DeadlineOptions): Interceptor {
  return (exchange, next) => {
    const { call, operation } = exchange;
    if (call.abortReason) throw call.abortReason;
    const asked = call.incoming.timeoutMs;
    if (operation.kind === "unary") return raceAnswer(call, Math.min(asked ?? options.maxMs, options.maxMs), next);

    const limitMs = Math.min(asked ?? MAX_TIMER_MS, options.maxStreamMs ?? MAX_TIMER_MS);
    const ended = (stream: unknown) => abortable(stream as AsyncIterable<unknown>, call, { endsCall: true });
    if (limitMs >= MAX_TIMER_MS) return next().then(ended);
    const timer = setTimeout(() => call.abort(exceeded(limitMs)), limitMs);
    return next().then(
      (stream) => withEnd(ended(stream), () => clearTimeout(timer)),
      (thrown) => {
        clearTimeout(timer);
        throw thrown;
      },
    );
  };
}

function raceAnswer(call: Call, limitMs: number, next: () => Promise<unknown>): Promise<unknown> {
  if (limitMs <= 0) {
    call.abort(exceeded(limitMs));
    throw call.abortReason;
  }
  const answer = next();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => call.abort(exceeded(limitMs)), limitMs);
    call.onAbort((reason) => {
      clearTimeout(timer);
      reject(reason);
    });
    answer.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (thrown) => {
        clearTimeout(timer);
        reject(thrown);
      },
    );
  });
}

function exceeded(limitMs: number): AppError {
  return new AppError(
    "DEADLINE_EXCEEDED",
    "DEADLINE_EXCEEDED",
    `The request was not answered within its ${limitMs} ms. It may still take effect: look before you repeat it, or repeat it under an Idempotency-Key.`,
  );
}
