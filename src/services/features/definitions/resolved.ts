import type { z } from "zod";
import type { Dataset } from "../values/dataset.ts";
import type { FeatureDefinition, Freshness, ValidationMode } from "./group-model.ts";

/** A feature that a read asked for, found and allowed. */
export interface ResolvedColumn {
  /** What the answer calls it: as it was asked for, or as the view calls it. */
  readonly name: string;
  readonly version: ResolvedVersion;
  readonly feature: FeatureDefinition;
  /** Its place among `version.dataset.features`: where packed rows have it. */
  readonly index: number;
}

/** One version of a group, with all that reading and writing rows needs to know. */
export interface ResolvedVersion {
  readonly namespace: string;
  readonly group: string;
  readonly version: number;
  readonly dataset: Dataset;
  /** The features of this version; `places[i]` is where packed rows have `features[i]`. */
  readonly features: readonly FeatureDefinition[];
  readonly places: readonly number[];
  readonly ttlMs: number | undefined;
  readonly online: boolean;
  readonly offline: boolean;
  readonly validation: ValidationMode;
  readonly freshness: z.output<typeof Freshness>;
}
