import type { PubSub } from "./pubsub.ts";

/** Hears of what a listener threw, so that it is neither lost nor the publisher's trouble. */
export type PubSubErrorListener = (error: unknown) => void;

/** Messages within this process: enough where there is only one gateway. */
export function createLocalPubSub(onError: PubSubErrorListener = () => {}): PubSub {
  const listeners = new Map<string, Set<(message: string) => void>>();

  return {
    publish(channel, message) {
      const channelListeners = listeners.get(channel);
      if (channelListeners === undefined) return;
      // A copy, because a listener may subscribe or leave while it listens.
      for (const listener of [...channelListeners]) {
        try {
          listener(message);
        } catch (error) {
          onError(error);
        }
      }
    },
    async subscribe(channel, listener) {
      const channelListeners = listeners.get(channel) ?? new Set();
      listeners.set(channel, channelListeners);
      // Wrapped, so that one function may be subscribed twice and leave once.
      const own = (message: string) => listener(message);
      channelListeners.add(own);
      return () => {
        channelListeners.delete(own);
        if (channelListeners.size === 0 && listeners.get(channel) === channelListeners) listeners.delete(channel);
      };
    },
    async close() {
      listeners.clear();
    },
  };
}
