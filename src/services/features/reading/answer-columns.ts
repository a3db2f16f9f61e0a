import type { Json } from "../../../core/json.ts";
import type { FeatureType, StoredValue } from "../values/feature-type.ts";
import { microsToText } from "../values/micros.ts";
import type { FeatureValues } from "../values/value-columns.ts";

type ToAnswer = (value: StoredValue) => unknown;

const TO_ANSWER: Partial<Record<FeatureType, ToAnswer>> = {
  BYTES: (value) => (value as Buffer).toString("base64"),
  TIMESTAMP: (value) => microsToText(value as number),
  JSON: (value) => JSON.parse(value as string) as Json,
  BOOL_LIST: (items) => ({ items }),
  INT64_LIST: (items) => ({ items }),
  DOUBLE_LIST: (items) => ({ items }),
  STRING_LIST: (items) => ({ items }),
  TIMESTAMP_LIST: (items) => ({ items: (items as number[]).map(microsToText) }),
  VECTOR: (items) => ({ items: Array.from(items as Float32Array) }),
};

/** Values as they are kept → as they are answered, null where there is none. */
export function answerValues(type: FeatureType, stored: readonly (StoredValue | null)[]): FeatureValues {
  const convert = TO_ANSWER[type];
  const values = convert === undefined ? stored : stored.map((value) => (value === null ? null : convert(value)));
  return { type, values } as FeatureValues;
}
