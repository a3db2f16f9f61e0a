import { z } from "zod";

/** A JSON value as it came over the wire. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Nesting beyond this is refused: protobuf decoders stop at 100 levels, and an object costs three of them. */
export const MAX_JSON_DEPTH = 30;

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

/**
 * Where the first own `__proto__` key lies, if there is one. As data it is harmless, but code that
 * later copies it by assignment would change a prototype instead, and lose it.
 */
export function findProtoKey(value: unknown): (string | number)[] | undefined {
  const stack: { value: object; path: Path | undefined }[] = [];
  const visit = (part: unknown, key: string | number, above: Path | undefined) => {
    if (typeof part === "object" && part !== null) stack.push({ value: part, path: { key, above } });
  };
  if (typeof value === "object" && value !== null) stack.push({ value, path: undefined });
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { value: current, path } = item;
    if (Array.isArray(current)) {
      for (let index = 0; index < current.length; index++) visit(current[index], index, path);
      continue;
    }
    for (const key of Object.keys(current)) {
      if (key === "__proto__") return keysOf({ key, above: path });
      visit((current as Record<string, unknown>)[key], key, path);
    }
  }
  return undefined;
}

interface Path {
  readonly key: string | number;
  readonly above: Path | undefined;
}

function keysOf(path: Path): (string | number)[] {
  const keys: (string | number)[] = [];
  for (let part: Path | undefined = path; part !== undefined; part = part.above) keys.unshift(part.key);
  return keys;
}

/** The length of `value` as JSON text in UTF-8. */
export function jsonSizeBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** JSON text with the keys of every object in order, so that equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([left], [right]) => (left < right ? -1 : 1)))
      : part,
  );
}
