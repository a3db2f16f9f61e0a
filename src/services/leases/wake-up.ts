import type { PubSub } from "../../platform/pubsub.ts";

export interface WakeUp {
  /** Resolves after a message on the channel (also one from before the call), after `timeoutMs`, or when `signal` fires. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Listens to a channel, so that whoever looks and finds nothing cannot miss what happens before it waits. */
export async function createWakeUp(pubsub: PubSub, channel: string): Promise<WakeUp> {
  let heard = false;
  let wake: (() => void) | undefined;
  const leave = await pubsub.subscribe(channel, () => {
    heard = true;
    wake?.();
  });

  const sleep = (timeoutMs: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      signal.addEventListener("abort", done);
      wake = done;
    });

  return {
    async wait(timeoutMs, signal) {
      if (!heard && !signal.aborted) await sleep(timeoutMs, signal);
      heard = false;
    },
    close: leave,
  };
}
