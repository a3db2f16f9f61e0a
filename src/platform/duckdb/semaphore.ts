/** Lets a bounded number of pieces of work run at once; the others wait in order. */
export interface Semaphore {
  /** Resolves with the function that gives the place back. Rejects with the signal's reason when it is aborted first. */
  acquire(signal?: AbortSignal): Promise<() => void>;
}

export function createSemaphore(places: number): Semaphore {
  let free = places;
  const waiting = new Set<() => void>();

  const release = () => {
    free += 1;
    const [next] = waiting;
    next?.();
  };
  const take = () => {
    free -= 1;
    let held = true;
    return () => {
      if (held) release();
      held = false;
    };
  };

  return {
    async acquire(signal) {
      signal?.throwIfAborted();
      if (free > 0) return take();
      return new Promise((resolve, reject) => {
        const enter = () => {
          leave();
          resolve(take());
        };
        const giveUp = () => {
          leave();
          reject(signal!.reason);
        };
        const leave = () => {
          waiting.delete(enter);
          signal?.removeEventListener("abort", giveUp);
        };
        waiting.add(enter);
        signal?.addEventListener("abort", giveUp, { once: true });
      });
    },
  };
}
