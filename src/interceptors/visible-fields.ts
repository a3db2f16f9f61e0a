import type { z } from "zod";
import type { AnyOperation } from "../core/operation.ts";

/** Says whether the caller may see fields that need `permission`. */
export type Visibility = (permission: string) => boolean;

/** A copy of an answer without what its caller may not see; the answer itself where nothing is hidden. */
export type Redact = (output: unknown, isVisible: Visibility) => unknown;

type Schema = z.core.$ZodType;
type Transform = (value: unknown, isVisible: Visibility) => unknown;

/** What a walk over a schema has found so far; a recursive schema meets itself again here. */
interface Found {
  readonly transforms: Map<Schema, { apply: Transform | undefined }>;
}

/**
 * Works out once which fields of what an operation or a relation answers with are marked
 * `.meta({ visibleTo: "…" })`. Answers undefined where there are none, so that most pay nothing.
 */
export function compileRedaction(output: Schema): Redact | undefined {
  if (!mentions(output, "visibleTo", new Set())) return undefined;
  return compile(output, { transforms: new Map() });
}

/** Whether the operation answers with a secret: a field marked `.meta({ secret: true })`. */
export function answersSecret(operation: AnyOperation): boolean {
  return mentions(operation.output, "secret", new Set());
}

function metaOf(schema: Schema): Record<string, unknown> {
  return (schema as z.ZodType).meta() ?? {};
}

/** A schema's own parts, which differ by its type. */
function defOf(schema: Schema): Record<string, unknown> {
  return schema._zod.def as unknown as Record<string, unknown>;
}

/** The permission that a field asks for, wherever in its wrappers it was written. */
function visibleTo(schema: Schema): string | undefined {
  for (let current: Schema | undefined = schema; current; current = innerOf(current)) {
    const { visibleTo: permission } = metaOf(current);
    if (typeof permission === "string") return permission;
  }
  return undefined;
}

/** What optional, nullable, default and the like wrap. */
function innerOf(schema: Schema): Schema | undefined {
  const def = defOf(schema);
  if (def.type === "lazy") return (def.getter as () => Schema)();
  return (def.innerType ?? def.in) as Schema | undefined;
}

function childrenOf(schema: Schema): Schema[] {
  const def = defOf(schema);
  const inner = innerOf(schema);
  if (inner) return [inner];
  if (def.type === "object") return Object.values(def.shape as Record<string, Schema>);
  if (def.type === "array") return [def.element as Schema];
  if (def.type === "record") return [def.valueType as Schema];
  if (def.type === "union") return def.options as Schema[];
  return [];
}

function mentions(schema: Schema, key: "visibleTo" | "secret", seen: Set<Schema>): boolean {
  if (seen.has(schema)) return false;
  seen.add(schema);
  return Boolean(metaOf(schema)[key]) || childrenOf(schema).some((child) => mentions(child, key, seen));
}

function compile(schema: Schema, found: Found): Transform | undefined {
  const known = found.transforms.get(schema);
  if (known) return (value, isVisible) => (known.apply ? known.apply(value, isVisible) : value);
  const entry: { apply: Transform | undefined } = { apply: undefined };
  found.transforms.set(schema, entry);
  entry.apply = compileNew(schema, found);
  return entry.apply;
}

function compileNew(schema: Schema, found: Found): Transform | undefined {
  const inner = innerOf(schema);
  if (inner) return compile(inner, found);
  const def = defOf(schema);
  if (def.type === "object") return compileObject(def.shape as Record<string, Schema>, found);
  if (def.type === "union") return compileUnion(def.options as Schema[], found);
  if (def.type !== "array" && def.type !== "record") return undefined;
  const element = compile((def.type === "array" ? def.element : def.valueType) as Schema, found);
  if (!element) return undefined;
  return (value, isVisible) => {
    if (Array.isArray(value)) return value.map((item) => element(item, isVisible));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, element(item, isVisible)]));
  };
}

/** Which alternative a value is does not matter: a field hidden in one of them is hidden. */
function compileUnion(options: readonly Schema[], found: Found): Transform | undefined {
  const transforms = options.map((option) => compile(option, found)).filter((transform) => transform !== undefined);
  if (transforms.length === 0) return undefined;
  return (value, isVisible) => transforms.reduce((current, transform) => transform(current, isVisible), value);
}

function compileObject(shape: Record<string, Schema>, found: Found): Transform | undefined {
  const hidden: [field: string, permission: string][] = [];
  const nested: [field: string, transform: Transform][] = [];
  for (const [field, schema] of Object.entries(shape)) {
    const permission = visibleTo(schema);
    if (permission !== undefined) {
      if (schema._zod.optout !== "optional") {
        throw new Error(`The field ${field} is visible only to ${permission} and must therefore be optional.`);
      }
      hidden.push([field, permission]);
    }
    const transform = compile(schema, found);
    if (transform) nested.push([field, transform]);
  }
  if (hidden.length === 0 && nested.length === 0) return undefined;
  return (value, isVisible) => {
    if (typeof value !== "object" || value === null) return value;
    const copy: Record<string, unknown> = { ...value };
    for (const [field, permission] of hidden) if (field in copy && !isVisible(permission)) delete copy[field];
    for (const [field, transform] of nested) if (field in copy) copy[field] = transform(copy[field], isVisible);
    return copy;
  };
}
