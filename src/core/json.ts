import { z } from "zod";

/** A JSON value as it came over the wire. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Nesting beyond this is refused: it costs stack in every parser downstream. */
export const MAX_JSON_DEPTH = 64;

const UNSTORABLE = /\u0000|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Says what is wrong with `value` as JSON, or nothing. Walks without recursion, so depth cannot hurt it. */
export function jsonProblem(value: unknown): string | undefined {
  const stack: { value: unknown; depth: number }[] = [{ value, depth: 0 }];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { value: current, depth } = item;
    if (depth > MAX_JSON_DEPTH) return `must not nest deeper than ${MAX_JSON_DEPTH} levels`;
    if (typeof current === "string") {
      if (UNSTORABLE.test(current)) return "must not hold NUL characters or lone surrogates";
    } else if (typeof current === "number") {
      if (!Number.isFinite(current)) return "must not hold NaN or infinite numbers";
    } else if (Array.isArray(current)) {
      for (const element of current) stack.push({ value: element, depth: depth + 1 });
    } else if (typeof current === "object" && current !== null) {
      for (const key of Object.keys(current)) {
        if (UNSTORABLE.test(key)) return "must not hold NUL characters or lone surrogates in its keys";
        stack.push({ value: (current as Record<string, unknown>)[key], depth: depth + 1 });
      }
    } else if (typeof current !== "boolean" && current !== null) {
      return "must be JSON";
    }
  }
  return undefined;
}

/** Any JSON value that Postgres can hold and every protocol can carry. */
export function json(description: string) {
  return z
    .custom<Json>((value) => value !== undefined && jsonProblem(value) === undefined, {
      error: (issue) => (issue.input === undefined ? "is required" : (jsonProblem(issue.input) ?? "must be JSON")),
    })
    .meta({ json: true, description });
}
