import type { PubSub } from "./pubsub.ts";

/** Somebody who waits for one of several keys. Make it before looking, so that nothing in between is missed. */
export interface Waiter {
  /** Resolves to true when woken (also if that was before the call), to false after `timeoutMs` or when `signal` fires. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<boolean>;
  /** Leaves. A wake-up that was not used goes to the next waiter. */
  close(): void;
}

/** Wakes those who wait for work, in this process at once and in other gateways through pub/sub. */
export interface WakeUps {
  /** Wakes up to `count` waiters of `key` here, and as many in each other gateway. */
  notify(key: string, count: number): void;
  waiter(keys: readonly string[]): Waiter;
  /** Wakes everybody; nobody should wait any more, because the gateway goes away. */
  drain(): void;
  readonly isDraining: boolean;
  close(): void;
}

class QueuedWaiter {
  woken = false;
  resolve: (() => void) | undefined;

  wake(): void {
    this.woken = true;
    this.resolve?.();
  }
}

export async function createWakeUps(pubsub: PubSub, channel: string): Promise<WakeUps> {
  const waiters = new Map<string, Set<QueuedWaiter>>();
  let isDraining = false;

  const wakeHere = (key: string, count: number) => {
    let left = count;
    for (const waiter of waiters.get(key) ?? []) {
      if (left <= 0) return;
      if (waiter.woken) continue;
      waiter.wake();
      left -= 1;
    }
  };

  // pub/sub calls this process's own listeners too, at once.
  const unsubscribe = await pubsub.subscribe(channel, (message) => {
    const separator = message.indexOf(" ");
    wakeHere(message.slice(separator + 1), Number(message.slice(0, separator)) || 1);
  });

  return {
    notify: (key, count) => pubsub.publish(channel, `${count} ${key}`),
    waiter(keys) {
      const queued = new QueuedWaiter();
      for (const key of keys) {
        const others = waiters.get(key);
        if (others) others.add(queued);
        else waiters.set(key, new Set([queued]));
      }
      return {
        wait: (timeoutMs, signal) => waitFor(queued, timeoutMs, signal),
        close() {
          for (const key of keys) {
            const others = waiters.get(key);
            others?.delete(queued);
            if (others?.size === 0) waiters.delete(key);
          }
          if (queued.woken) for (const key of keys) wakeHere(key, 1);
        },
      };
    },
    drain() {
      isDraining = true;
      for (const key of waiters.keys()) wakeHere(key, Number.POSITIVE_INFINITY);
    },
    get isDraining() {
      return isDraining;
    },
    close: unsubscribe,
  };
}

function waitFor(queued: QueuedWaiter, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      queued.resolve = undefined;
      const { woken } = queued;
      queued.woken = false;
      resolve(woken);
    };
    const timer = setTimeout(finish, timeoutMs);
    queued.resolve = finish;
    signal.addEventListener("abort", finish, { once: true });
    if (queued.woken || signal.aborted) finish();
  });
}
