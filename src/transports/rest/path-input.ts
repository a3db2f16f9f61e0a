import type { RoutePattern } from "./route-pattern.ts";
import { coerceText, decodePercent, type TextFields } from "./text-input.ts";

/** Where a path variable stands: which segment, and how many characters of verb follow it there. */
export interface PathVariable {
  readonly name: string;
  readonly segment: number;
  readonly verbLength: number;
}

export function pathVariables(pattern: RoutePattern): PathVariable[] {
  return pattern.segments.flatMap((segment, index) =>
    segment.kind === "variable" ? [{ name: segment.name, segment: index + 1, verbLength: segment.verb.length }] : [],
  );
}

/** Reads the variables out of a matched path. They are decoded only here, so %2F never makes a segment. */
export function readPathInput(
  variables: readonly PathVariable[],
  segments: readonly string[],
  fields: TextFields,
): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  for (const { name, segment, verbLength } of variables) {
    const raw = segments[segment]!;
    const text = decodePercent(verbLength === 0 ? raw : raw.slice(0, -verbLength), name);
    const field = fields.get(name);
    input[name] = field === undefined || field.scalar === "text" ? text : coerceText(text, field.scalar);
  }
  return input;
}
