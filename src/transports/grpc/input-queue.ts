import type { ServerDuplexStream } from "@grpc/grpc-js";
import { AppError } from "../../core/errors.ts";
import { wasReset } from "./grpc-js-internals.ts";

/** The messages of a client, pulled one at a time. */
export interface InputQueue extends AsyncIterable<unknown> {
  /** Ends the iteration with `error`, also for a reader that waits now. */
  fail(error: AppError): void;
}

/**
 * Reads a client's messages only as fast as they are taken: while nobody asks for one the stream
 * is paused, so HTTP/2 flow control makes the client wait. (Iterating over the stream itself would
 * destroy it, answers included, as soon as the reader stops.) `onTaken` is told of each that is taken.
 */
export function createInputQueue(
  stream: ServerDuplexStream<unknown, Buffer>,
  onTaken: (message: unknown) => void = () => {},
): InputQueue {
  const messages: unknown[] = [];
  let ended = false;
  let failure: AppError | undefined;
  let wake: (() => void) | undefined;

  stream.on("data", (message: unknown) => {
    stream.pause();
    messages.push(message);
    wake?.();
  });
  stream.on("end", () => {
    // A client that cancels ends its side first in Node: the reset follows in the same breath.
    // Without waiting for it, a cancelled session would look like a finished one.
    setImmediate(() => {
      if (wasReset(stream)) return;
      ended = true;
      wake?.();
    });
  });
  stream.pause();

  async function next(): Promise<IteratorResult<unknown>> {
    for (;;) {
      if (failure) throw failure;
      if (messages.length > 0) {
        const value = messages.shift();
        onTaken(value);
        // What could not be decoded arrives as the error that says so.
        if (value instanceof AppError) throw value;
        return { done: false, value };
      }
      if (ended) return { done: true, value: undefined };
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      stream.resume();
      await promise;
      wake = undefined;
    }
  }

  async function finish(): Promise<IteratorResult<unknown>> {
    ended = true;
    messages.length = 0;
    return { done: true, value: undefined };
  }

  return {
    [Symbol.asyncIterator]: () => ({ next, return: finish }),
    fail(error) {
      failure ??= error;
      messages.length = 0;
      wake?.();
    },
  };
}
