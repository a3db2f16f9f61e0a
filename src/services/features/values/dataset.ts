import type { EntityKeyShape } from "./entity-key.ts";
import type { FeatureShape } from "./feature-type.ts";

/**
 * Where the rows of a feature group are kept, in both stores. Versions of a group that are
 * compatible share one dataset: they agree on entity keys and on the features they have in common,
 * and a later one only appends features. An incompatible version begins a new dataset.
 */
export interface Dataset {
  readonly datasetId: number;
  readonly namespace: string;
  readonly group: string;
  /** The version that began it: its rows are in the folder of this version. */
  readonly firstVersion: number;
  readonly entityKeys: readonly EntityKeyShape[];
  /** All features of its newest version, in the order in which rows are packed. */
  readonly features: readonly FeatureShape[];
}
