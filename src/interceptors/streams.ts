import type { Call } from "../core/call.ts";

export interface AbortableOptions {
  /** Whether a consumer that stops reading ends the whole call. */
  readonly endsCall: boolean;
}

const DONE: IteratorResult<never> = Object.freeze({ done: true, value: undefined });

/**
 * `source`, ending with the call: a pending read fails at once when the call is aborted, even if
 * the source never looks at its signal.
 */
export function abortable<T>(source: AsyncIterable<T>, call: Call, options: AbortableOptions): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = source[Symbol.asyncIterator]();
      let failPending: ((reason: unknown) => void) | undefined;
      let isOver = false;
      // Not awaited: a generator that waits for something returns only after that has come.
      const release = () => void Promise.resolve(iterator.return?.()).catch(() => {});
      call.onAbort((reason) => {
        failPending?.(reason);
        if (!isOver) release();
      });
      return {
        next() {
          if (isOver) return Promise.resolve(DONE);
          if (call.abortReason) return Promise.reject(call.abortReason);
          return new Promise<IteratorResult<T>>((resolve, reject) => {
            failPending = reject;
            iterator.next().then((result) => {
              isOver ||= result.done === true;
              resolve(result);
            }, reject);
          });
        },
        return() {
          if (!isOver) {
            isOver = true;
            release();
            if (options.endsCall) call.abort();
          }
          return Promise.resolve(DONE);
        },
      };
    },
  };
}

/** Passes on `source` and calls `end` once: when it is exhausted, fails, or is left by its consumer. */
export function withEnd<T>(
  source: AsyncIterable<T>,
  end: (thrown?: unknown) => void,
  run: <R>(work: () => R) => R = (work) => work(),
): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]() {
      const iterator = source[Symbol.asyncIterator]();
      let isOver = false;
      const finish = (thrown?: unknown) => {
        if (isOver) return;
        isOver = true;
        end(thrown);
      };
      return {
        async next() {
          try {
            const result = await run(() => iterator.next());
            if (result.done) finish();
            return result;
          } catch (thrown) {
            finish(thrown);
            throw thrown;
          }
        },
        async return() {
          finish();
          await iterator.return?.();
          return DONE;
        },
      };
    },
  };
}
