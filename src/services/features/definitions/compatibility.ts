import type { EntityKeyShape } from "../values/entity-key.ts";
import type { FeatureShape } from "../values/feature-type.ts";
import { type GroupSchema, MAX_FEATURES } from "./group-model.ts";

/** Features of versions that were staged and never became current stay in the rows, so they are bounded too. */
const MAX_DATASET_FEATURES = 2 * MAX_FEATURES;

/** What the rows that are there look like. */
export interface DatasetShape {
  readonly entityKeys: readonly EntityKeyShape[];
  /** Of all versions that share the rows, in the order in which rows are packed. */
  readonly features: readonly FeatureShape[];
}

/**
 * Why rows of `dataset` could not be read under the schema `next`, which follows `current`; nothing
 * where they can. Descriptions, tags, rules, ttl, switches, validation and freshness do not matter.
 */
export function incompatibilities(dataset: DatasetShape, current: GroupSchema, next: GroupSchema): string[] {
  const reasons = keyReasons(dataset.entityKeys, next.entityKeys);
  const known = new Map(dataset.features.map((feature) => [feature.name, feature]));
  for (const feature of next.features) {
    const before = known.get(feature.name);
    if (before && typeText(before) !== typeText(feature)) {
      reasons.push(`feature "${feature.name}" is ${typeText(before)} there and would be ${typeText(feature)}`);
    }
  }
  const named = new Set(next.features.map(({ name }) => name));
  for (const { name } of current.features) if (!named.has(name)) reasons.push(`feature "${name}" is left out`);
  if (appendFeatures(dataset.features, next.features).length > MAX_DATASET_FEATURES) {
    reasons.push(`all its versions together would have more than ${MAX_DATASET_FEATURES} features`);
  }
  return reasons;
}

/** The features of a dataset after a compatible version came to it: those it had, then the new ones. */
export function appendFeatures(known: readonly FeatureShape[], next: readonly FeatureShape[]): FeatureShape[] {
  const names = new Set(known.map(({ name }) => name));
  return [...known, ...next.filter(({ name }) => !names.has(name)).map(shapeOf)];
}

/** What rows need to know of a feature. */
export function shapeOf({ name, type, dimension }: FeatureShape): FeatureShape {
  return { name, type, ...(dimension === undefined ? {} : { dimension }) };
}

function keyReasons(known: readonly EntityKeyShape[], next: readonly EntityKeyShape[]): string[] {
  const text = (keys: readonly EntityKeyShape[]) => keys.map(({ name, type }) => `${name} ${type}`).join(", ");
  return text(known) === text(next) ? [] : [`the entity keys are (${text(known)}) and would be (${text(next)})`];
}

function typeText({ type, dimension }: FeatureShape): string {
  return dimension === undefined ? type : `${type} of ${dimension}`;
}
