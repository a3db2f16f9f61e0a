import { createBoundedMap } from "../../../platform/bounded-map.ts";
import { parseFeatureReference, type ResourceReference, resourceKey } from "./references.ts";

/** A list of references, read once. */
export interface ColumnPlan<Outcome> {
  /** The groups that it names, each once. */
  readonly groups: readonly { readonly key: string; readonly reference: ResourceReference }[];
  readonly members: readonly { readonly group: number; readonly feature: string; readonly text: string }[];
  /** What was made of it last. */
  last: Outcome | undefined;
}

export interface ColumnPlans<Outcome> {
  of(namespace: string, references: readonly string[]): ColumnPlan<Outcome>;
}

/** Remembers lists of references that were read, up to `maxReferences` in all of them together. */
export function createColumnPlans<Outcome>(maxReferences: number): ColumnPlans<Outcome> {
  const plans = createBoundedMap<ColumnPlan<Outcome>>(maxReferences, ({ members }) => members.length + 1);
  return {
    of(namespace, references) {
      const key = `${namespace} ${references.join(" ")}`;
      const known = plans.get(key);
      if (known) return known;
      const plan = readPlan<Outcome>(namespace, references);
      plans.set(key, plan);
      return plan;
    },
  };
}

function readPlan<Outcome>(namespace: string, references: readonly string[]): ColumnPlan<Outcome> {
  const groups = new Map<string, { at: number; reference: ResourceReference }>();
  const members = references.map((text, index) => {
    const { group: reference, feature } = parseFeatureReference(namespace, text, `features[${index}]`);
    const key = resourceKey(reference);
    const group = groups.get(key) ?? { at: groups.size, reference };
    groups.set(key, group);
    return { group: group.at, feature, text };
  });
  return { groups: [...groups].map(([key, { reference }]) => ({ key, reference })), members, last: undefined };
}
