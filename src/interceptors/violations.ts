import type { z } from "zod";
import { type AppError, type FieldViolation, invalidArgument } from "../core/errors.ts";
import { findProtoKey } from "../core/json.ts";
import type { AnyOperation } from "../core/operation.ts";

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

/** More than this helps nobody, and an answer must not grow with what was sent. */
const MAX_VIOLATIONS = 20;
const MAX_KEY_CHARACTERS = 64;
const MAX_OPTIONS_NAMED = 20;
const PLAIN_KEY = /^[A-Za-z_$][A-Za-z0-9_$]*$/;

const EXPECTED: Readonly<Record<string, string>> = {
  string: "must be text",
  number: "must be a finite number",
  int: "must be a whole number",
  boolean: "must be true or false",
  object: "must be an object",
  record: "must be an object",
  array: "must be a list",
};

const PARSE_OPTIONS = { error: describeIssue };

/** The input as its schema sees it; throws INVALID_ARGUMENT that names every refused field. */
export function parseInput(operation: AnyOperation, input: unknown): unknown {
  const protoKey = findProtoKey(input);
  if (protoKey) throw invalidArgument([{ field: fieldPath(protoKey), message: "is not a possible key; rename it" }]);
  const result = operation.input.safeParse(input, PARSE_OPTIONS);
  if (result.success) return result.data;
  throw invalidInput(result.error.issues, input);
}

function invalidInput(issues: readonly Issue[], input: unknown): AppError {
  const violations: FieldViolation[] = [];
  for (const issue of issues) {
    collect(issue, [], input, violations);
    if (violations.length >= MAX_VIOLATIONS) break;
  }
  return invalidArgument(violations.slice(0, MAX_VIOLATIONS));
}

function collect(issue: Issue, prefix: readonly PropertyKey[], input: unknown, violations: FieldViolation[]): void {
  const path = [...prefix, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    for (const key of issue.keys.slice(0, MAX_VIOLATIONS)) {
      violations.push({ field: fieldPath([...path, key]), message: "is not a known field; check its spelling" });
    }
    return;
  }
  if (issue.code === "invalid_key") {
    const reasons = issue.issues.map(({ message }) => message).join(", ");
    violations.push({ field: fieldPath(path), message: `has a key that ${reasons}` });
    return;
  }
  if (issue.code === "invalid_union") {
    const likeliest = likeliestBranch(issue.errors);
    if (likeliest.length > 0) {
      for (const inner of likeliest) collect(inner, path, input, violations);
      return;
    }
  }
  const field = fieldPath(path);
  // The first thing that is wrong with a field says enough.
  if (violations.some((violation) => violation.field === field)) return;
  const isMissing = path.length > 0 && valueAt(input, path) === undefined;
  violations.push({ field, message: isMissing ? "is required" : issue.message });
}

/** Of the alternatives of a union, the one that was refused furthest inside: the one that was meant. */
function likeliestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] {
  const depth = (issues: readonly Issue[]) => Math.max(0, ...issues.map(({ path }) => path.length));
  return branches.reduce<readonly Issue[]>((best, branch) => {
    if (best.length === 0) return branch;
    return depth(branch) > depth(best) ? branch : best;
  }, []);
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const key of path) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** `tasks[3].runAt`; keys that are no plain names are quoted and cut. */
export function fieldPath(path: readonly PropertyKey[]): string {
  let text = "";
  for (const part of path) {
    if (typeof part === "number") text += `[${part}]`;
    else if (PLAIN_KEY.test(String(part)) && String(part).length <= MAX_KEY_CHARACTERS) {
      text += text === "" ? String(part) : `.${String(part)}`;
    } else text += `[${JSON.stringify(printable(String(part)))}]`;
  }
  return text;
}

function printable(key: string): string {
  return key
    .slice(0, MAX_KEY_CHARACTERS)
    .toWellFormed()
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}

/** Says what is wrong in words; never with the value, which may be big or secret. */
function describeIssue(issue: RawIssue): string {
  switch (issue.code) {
    case "invalid_type":
      return EXPECTED[issue.expected] ?? `must be of type ${issue.expected}`;
    case "too_small":
      return size(issue.origin, issue.minimum, issue.inclusive === false ? "more than" : "at least");
    case "too_big":
      return size(issue.origin, issue.maximum, issue.inclusive === false ? "less than" : "at most");
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    case "invalid_value":
      return oneOf(issue.values);
    case "invalid_format":
      return `must be a valid ${issue.format}`;
    case "invalid_union":
      return issue.discriminator === undefined || !Array.isArray(issue.options)
        ? "has none of the allowed forms"
        : oneOf(issue.options);
    case "unrecognized_keys":
      return "has unknown fields";
    default:
      return "is not valid";
  }
}

function size(origin: string, bound: number | bigint, comparison: string): string {
  if (origin === "string")
    return `must have ${comparison} ${bound} ${Number(bound) === 1 ? "character" : "characters"}`;
  if (origin === "array" || origin === "set" || origin === "map" || origin === "record") {
    return `must hold ${comparison} ${bound} ${Number(bound) === 1 ? "item" : "items"}`;
  }
  return `must be ${comparison} ${bound}`;
}

function oneOf(values: readonly unknown[]): string {
  if (values.length === 1) return `must be ${String(values[0])}`;
  const named = values.slice(0, MAX_OPTIONS_NAMED).map(String).join(", ");
  return `must be one of ${named}${values.length > MAX_OPTIONS_NAMED ? ", …" : ""}`;
}
