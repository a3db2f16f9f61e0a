import { jsonProblem } from "../../../core/json.ts";
import type { FeatureShape, FeatureType, StoredValue } from "./feature-type.ts";
import { microsFromText } from "./micros.ts";

/** Bounds on one value, so that no single one can fill a store. */
export const MAX_VALUE_BYTES = 64 * 1024;
export const MAX_LIST_ITEMS = 4096;

const EARLIEST_MICROS = 0;
const LATEST_MICROS = Date.UTC(2200, 0, 1) * 1000;
const MAX_BASE64_CHARACTERS = 4 * Math.ceil(MAX_VALUE_BYTES / 3);
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Either the value as it is kept, or what is wrong with it, to follow the field's name. */
export type Checked = { readonly value: StoredValue } | { readonly problem: string };

type Check = (value: unknown, feature: FeatureShape) => Checked;

const refuse = (problem: string): Checked => ({ problem });

function checkBool(value: unknown): Checked {
  return typeof value === "boolean" ? { value } : refuse("must be true or false");
}

function checkInt64(value: unknown): Checked {
  if (typeof value !== "number" || !Number.isInteger(value)) return refuse("must be a whole number");
  if (!Number.isSafeInteger(value)) {
    return refuse("must lie within ±9007199254740991 (2^53 - 1); keep longer ids in a STRING feature");
  }
  return { value: value === 0 ? 0 : value };
}

function checkDouble(value: unknown): Checked {
  if (typeof value !== "number") return refuse("must be a number");
  if (!Number.isFinite(value)) return refuse("must not be NaN or infinite; leave the value out, or send null");
  return { value };
}

function checkString(value: unknown): Checked {
  if (typeof value !== "string") return refuse("must be a text");
  const problem = jsonProblem(value);
  if (problem !== undefined) return refuse(problem);
  return Buffer.byteLength(value) > MAX_VALUE_BYTES ? tooLong() : { value };
}

function checkBytes(value: unknown): Checked {
  // The length first: a long text would exhaust the pattern's stack.
  if (typeof value === "string" && value.length > MAX_BASE64_CHARACTERS) return tooLong();
  if (typeof value !== "string" || !BASE64.test(value)) return refuse("must be base64 text (RFC 4648, section 4)");
  const bytes = Buffer.from(value, "base64");
  return bytes.length > MAX_VALUE_BYTES ? tooLong() : { value: bytes };
}

function checkTimestamp(value: unknown): Checked {
  const micros = typeof value === "string" ? microsFromText(value) : undefined;
  if (micros === undefined) return refuse("must be an RFC 3339 time such as 2027-01-31T09:30:00.000001Z");
  if (micros < EARLIEST_MICROS || micros >= LATEST_MICROS) return refuse("must lie between the years 1970 and 2200");
  return { value: micros };
}

function checkJson(value: unknown): Checked {
  const problem = jsonProblem(value);
  if (problem !== undefined) return refuse(problem);
  const text = JSON.stringify(value);
  return Buffer.byteLength(text) > MAX_VALUE_BYTES ? tooLong() : { value: text };
}

function checkVector(value: unknown, { dimension = 0 }: FeatureShape): Checked {
  if (!Array.isArray(value) || value.length !== dimension) return refuse(`must be a list of ${dimension} numbers`);
  const vector = new Float32Array(dimension);
  for (let index = 0; index < dimension; index++) {
    const item: unknown = value[index];
    const kept = typeof item === "number" ? Math.fround(item) : Number.NaN;
    if (!Number.isFinite(kept)) return refuse(`[${index}] must be a number that 32 bits can hold, not NaN or infinite`);
    vector[index] = kept;
  }
  return { value: vector };
}

function listOf(check: Check): Check {
  return (value, feature) => {
    if (!Array.isArray(value)) return refuse("must be a list");
    if (value.length > MAX_LIST_ITEMS) return refuse(`must not have more than ${MAX_LIST_ITEMS} items`);
    const items: StoredValue[] = [];
    let sizeBytes = 0;
    for (const [index, item] of value.entries()) {
      const checked = check(item, feature);
      if ("problem" in checked) return refuse(`[${index}] ${checked.problem}`);
      sizeBytes += typeof checked.value === "string" ? Buffer.byteLength(checked.value) : 8;
      items.push(checked.value);
    }
    return sizeBytes > MAX_VALUE_BYTES ? tooLong() : { value: items as StoredValue };
  };
}

function tooLong(): Checked {
  return refuse(`must not be longer than ${MAX_VALUE_BYTES} bytes`);
}

const CHECKS: Record<FeatureType, Check> = {
  BOOL: checkBool,
  INT64: checkInt64,
  DOUBLE: checkDouble,
  STRING: checkString,
  BYTES: checkBytes,
  TIMESTAMP: checkTimestamp,
  JSON: checkJson,
  BOOL_LIST: listOf(checkBool),
  INT64_LIST: listOf(checkInt64),
  DOUBLE_LIST: listOf(checkDouble),
  STRING_LIST: listOf(checkString),
  TIMESTAMP_LIST: listOf(checkTimestamp),
  VECTOR: checkVector,
};

/** Checks one value that is not null as it came in JSON, and brings it into the form it is kept in. */
export function checkValue(value: unknown, feature: FeatureShape): Checked {
  return CHECKS[feature.type](value, feature);
}
