import type { Call } from "../../core/call.ts";
import { abortable } from "../../interceptors/streams.ts";
import { toGraphqlError } from "./errors.ts";

/**
 * The events of one call as GraphQL wants them. Nothing is buffered: an event is asked for when the
 * one before was taken. An aborted call ends it at once, also while it waits for the next event.
 */
export function callStream(source: AsyncIterable<unknown>, call: Call): AsyncIterableIterator<unknown> {
  const iterator = abortable(source, call, { endsCall: true })[Symbol.asyncIterator]();
  return {
    async next() {
      try {
        return await iterator.next();
      } catch (error) {
        throw toGraphqlError(error, call.requestId);
      }
    },
    async return() {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
