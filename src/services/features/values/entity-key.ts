import { jsonProblem } from "../../../core/json.ts";
import type { EntityKeyType } from "./feature-type.ts";

export interface EntityKeyShape {
  readonly name: string;
  readonly type: EntityKeyType;
}

export type EntityKeyValue = string | number;

const MAX_KEY_CHARACTERS = 512;
/** Most keys are, and nothing can be wrong with them. */
const PLAIN = /^[ -~]*$/;

/** The value of one entity key, or what is wrong with it, to follow the key's name. */
export function checkEntityKey(
  value: unknown,
  { type }: EntityKeyShape,
): { readonly value: EntityKeyValue } | { readonly problem: string } {
  if (value === undefined || value === null) return { problem: "is required: an entity without it has no name" };
  if (type === "INT64") {
    if (typeof value !== "number" || !Number.isSafeInteger(value)) {
      return { problem: "must be a whole number within ±9007199254740991 (2^53 - 1)" };
    }
    return { value: value === 0 ? 0 : value };
  }
  if (typeof value !== "string") return { problem: "must be a text" };
  if (value.length === 0 || value.length > MAX_KEY_CHARACTERS) {
    return { problem: `must have 1 to ${MAX_KEY_CHARACTERS} characters` };
  }
  const problem = PLAIN.test(value) ? undefined : jsonProblem(value);
  return problem === undefined ? { value } : { problem };
}

/**
 * One text for an entity: its key values as a JSON array, in the schema's order. So no value can
 * pretend to be two, whatever separators are in it: `["1","11"]` is not `["11","1"]`.
 */
export function entityText(values: readonly EntityKeyValue[]): string {
  return JSON.stringify(values);
}

/** The key values of a text that `entityText` made. */
export function readEntityText(text: string): EntityKeyValue[] {
  return JSON.parse(text) as EntityKeyValue[];
}
