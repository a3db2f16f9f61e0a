/** Messages on their way to one reader, a bounded number at a time. */
export interface Outbox<T> extends AsyncIterable<T> {
  /** Resolves when there is room again, so a writer cannot run ahead of a slow reader. */
  put(message: T): Promise<void>;
  /** No more messages; with an error, the reader gets it after the last one. */
  end(error?: Error): void;
}

const DEFAULT_CAPACITY = 64;

export function createOutbox<T>(capacity = DEFAULT_CAPACITY): Outbox<T> {
  const messages: T[] = [];
  let ended = false;
  let failure: Error | undefined;
  let abandoned = false;
  let wakeReader = () => {};
  let wakeWriters: (() => void)[] = [];

  const freeWriters = () => {
    const waiting = wakeWriters;
    wakeWriters = [];
    for (const wake of waiting) wake();
  };

  return {
    async put(message) {
      if (abandoned) return;
      messages.push(message);
      wakeReader();
      while (messages.length >= capacity && !abandoned) await new Promise<void>((resolve) => wakeWriters.push(resolve));
    },
    end(error) {
      ended = true;
      failure ??= error;
      wakeReader();
    },
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          while (messages.length > 0) {
            yield messages.shift()!;
            freeWriters();
          }
          if (ended) break;
          await new Promise<void>((resolve) => {
            wakeReader = resolve;
          });
        }
        if (failure) throw failure;
      } finally {
        abandoned = true;
        messages.length = 0;
        freeWriters();
      }
    },
  };
}
