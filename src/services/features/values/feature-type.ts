import type { z } from "zod";
import { enumeration } from "../../../core/schema.ts";

/** What a feature's values are. VECTOR has a fixed dimension and 32-bit numbers; the rest is as its name says. */
export const FEATURE_TYPES = [
  "BOOL",
  "INT64",
  "DOUBLE",
  "STRING",
  "BYTES",
  "TIMESTAMP",
  "JSON",
  "BOOL_LIST",
  "INT64_LIST",
  "DOUBLE_LIST",
  "STRING_LIST",
  "TIMESTAMP_LIST",
  "VECTOR",
] as const;

export const FeatureType = enumeration(
  "FeatureType",
  "What a feature's values are. INT64 holds whole numbers up to 2^53 - 1 either way, as JSON does: keep 64-bit ids as STRING. BYTES is base64 in JSON, TIMESTAMP an RFC 3339 time to the microsecond, VECTOR a list of exactly `dimension` numbers kept with 32 bits each.",
  FEATURE_TYPES,
);
export type FeatureType = z.output<typeof FeatureType>;

/** What an entity key's values are: types with one text for each value, so that equal keys are one entity. */
export const ENTITY_KEY_TYPES = ["STRING", "INT64"] as const;
export const EntityKeyType = enumeration(
  "EntityKeyType",
  "What an entity key's values are. INT64 holds whole numbers up to 2^53 - 1 either way.",
  ENTITY_KEY_TYPES,
);
export type EntityKeyType = z.output<typeof EntityKeyType>;

/** A feature, as far as its values need to know it. */
export interface FeatureShape {
  readonly name: string;
  readonly type: FeatureType;
  /** Of a VECTOR: how many numbers each value has. */
  readonly dimension?: number | undefined;
}

/**
 * A value as the gateway keeps it in memory: TIMESTAMP as microseconds since the epoch, BYTES as a
 * Buffer, JSON as its text, lists as arrays of these, VECTOR as a Float32Array.
 */
export type StoredValue = boolean | number | string | Buffer | Float32Array | boolean[] | number[] | string[];
