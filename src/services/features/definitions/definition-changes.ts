import { type Changes, createChanges } from "../../../platform/changes.ts";
import type { PubSub } from "../../../platform/pubsub.ts";
import type { FeatureResourceType } from "./view-model.ts";

/** What the catalog of every gateway has to forget. */
export type DefinitionChange =
  | { readonly kind: "GROUP" | "VIEW"; readonly namespace: string; readonly name: string }
  | {
      readonly kind: "SHARE";
      readonly namespace: string;
      readonly resourceType: FeatureResourceType;
      readonly resource: string;
      readonly withNamespace: string;
    };

export type DefinitionChanges = Changes<DefinitionChange>;

export function createDefinitionChanges(pubsub: PubSub): DefinitionChanges {
  return createChanges(pubsub, "features.definitions");
}
