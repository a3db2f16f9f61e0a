import type { PubSub } from "../../../platform/pubsub.ts";
import type { FeatureResourceType } from "./view-model.ts";

const CHANNEL = "features.definitions";

/** What changed, so that the catalog of every gateway forgets it at once rather than within its staleness. */
export type DefinitionChange =
  | { readonly kind: "GROUP" | "VIEW"; readonly namespace: string; readonly name: string }
  | {
      readonly kind: "SHARE";
      readonly namespace: string;
      readonly resourceType: FeatureResourceType;
      readonly resource: string;
      readonly withNamespace: string;
    };

export interface DefinitionChanges {
  publish(change: DefinitionChange): void;
  subscribe(listener: (change: DefinitionChange) => void): Promise<() => void>;
}

export function createDefinitionChanges(pubsub: PubSub): DefinitionChanges {
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
function parse(message: string): DefinitionChange | undefined {
  try {
    const change = JSON.parse(message) as DefinitionChange;
    return typeof change === "object" && change !== null ? change : undefined;
  } catch {
    return undefined;
  }
}
