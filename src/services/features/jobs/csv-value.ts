import type { EntityKeyType, FeatureType } from "../values/feature-type.ts";
import { NOT_JSON, parseJson } from "./json-text.ts";

/** Data frames write whole numbers with `.0` where some of a column are missing. */
const WHOLE = /^[+-]?\d{1,16}(?:\.0*)?$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const TRUE = /^true$/i;
const FALSE = /^false$/i;

/** A text of a CSV file as JSON would have it; what is not of the type stays a text, and is refused as such. */
export function csvValue(type: FeatureType | EntityKeyType, text: string | null): unknown {
  if (text === null) return null;
  switch (type) {
    case "INT64":
      return WHOLE.test(text) ? Number(text) : text;
    case "DOUBLE":
      return NUMBER.test(text) ? Number(text) : text;
    case "BOOL":
      if (TRUE.test(text)) return true;
      return FALSE.test(text) ? false : text;
    case "JSON":
      return parseJson(text, NOT_JSON);
    case "STRING":
    case "BYTES":
    case "TIMESTAMP":
      return text;
    default:
      return parseJson(text, text);
  }
}
