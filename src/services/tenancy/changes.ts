import { type Changes, createChanges } from "../../platform/changes.ts";
import type { PubSub } from "../../platform/pubsub.ts";

/** What the caches of every gateway have to forget. */
export type TenancyChange =
  | { readonly kind: "namespace"; readonly name: string }
  /** Permissions in a namespace: a role or many bindings. */
  | { readonly kind: "grants"; readonly namespace: string }
  | { readonly kind: "principal"; readonly id: string };

export type TenancyChanges = Changes<TenancyChange>;

export function createTenancyChanges(pubsub: PubSub): TenancyChanges {
  return createChanges(pubsub, "tenancy");
}
