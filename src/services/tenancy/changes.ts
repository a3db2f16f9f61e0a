import type { PubSub } from "../../platform/pubsub.ts";

const CHANNEL = "tenancy";

/** What changed, so that caches of every gateway forget it at once rather than within their staleness. */
export type TenancyChange =
  | { readonly kind: "namespace"; readonly name: string }
  /** Permissions in a namespace: a role or many bindings. */
  | { readonly kind: "grants"; readonly namespace: string }
  | { readonly kind: "principal"; readonly id: string };

export interface TenancyChanges {
  publish(change: TenancyChange): void;
  subscribe(listener: (change: TenancyChange) => void): Promise<() => void>;
}

export function createTenancyChanges(pubsub: PubSub): TenancyChanges {
  return {
    publish: (change) => pubsub.publish(CHANNEL, JSON.stringify(change)),
    subscribe: (listener) =>
      pubsub.subscribe(CHANNEL, (message) => {
        const change = parse(message);
        if (change) listener(change);
      }),
  };
}

/** Another version of the gateway may speak of changes that this one has no cache for. */
function parse(message: string): TenancyChange | undefined {
  try {
    const change = JSON.parse(message) as TenancyChange;
    return typeof change === "object" && change !== null ? change : undefined;
  } catch {
    return undefined;
  }
}
