import type { PubSub } from "./pubsub.ts";

/** Tells every gateway what changed, so that caches forget it at once rather than within their staleness. */
export interface Changes<Change extends object> {
  publish(change: Change): void;
  /** Answers what ends it. */
  subscribe(listener: (change: Change) => void): Promise<() => void>;
}

export function createChanges<Change extends object>(pubsub: PubSub, channel: string): Changes<Change> {
  return {
    publish: (change) => pubsub.publish(channel, JSON.stringify(change)),
    subscribe: (listener) =>
      pubsub.subscribe(channel, (message) => {
        const change = parse<Change>(message);
        if (change) listener(change);
      }),
  };
}

/** Another version of the gateway may speak of changes that this one has no cache for. */
function parse<Change extends object>(message: string): Change | undefined {
  try {
    const change = JSON.parse(message) as Change;
    return typeof change === "object" && change !== null ? change : undefined;
  } catch {
    return undefined;
  }
}
