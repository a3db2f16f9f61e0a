import { z } from "zod";
import type { Json } from "../core/json.ts";
import type { Constraints, ScalarName } from "./model.ts";

/** The metadata of a schema, of which some is ours. */
export function metaOf(schema: z.core.$ZodType): Record<string, unknown> | undefined {
  return z.globalRegistry.get(schema) as Record<string, unknown> | undefined;
}

/** The id of a schema. `.describe()` and `.refine()` copy a schema without its id, so parents are asked too. */
export function idOf(schema: z.core.$ZodType): string | undefined {
  for (let current: z.core.$ZodType | undefined = schema; current; current = current._zod.parent) {
    const id = z.globalRegistry.get(current)?.id;
    if (id) return id;
  }
  return undefined;
}

interface Unwrapped {
  readonly inner: z.core.$ZodType;
  readonly description: string;
  readonly requiredInInput: boolean;
  readonly requiredInOutput: boolean;
  readonly defaultValue: unknown;
  readonly visibleTo: string | undefined;
}

/** Takes `optional`, `default` and their like off a field's schema, and says what they meant. */
export function unwrap(schema: z.core.$ZodType, where: string): Unwrapped {
  const found = {
    description: "",
    requiredInInput: schema._zod.optin === undefined,
    requiredInOutput: schema._zod.optout === undefined,
    defaultValue: undefined as unknown,
    visibleTo: undefined as string | undefined,
  };
  let current = schema;
  for (;;) {
    const meta = metaOf(current);
    if (!found.description && typeof meta?.description === "string") found.description = meta.description;
    if (found.visibleTo === undefined && typeof meta?.visibleTo === "string") found.visibleTo = meta.visibleTo;
    const { def } = (current as z.core.$ZodTypes)._zod;
    switch (def.type) {
      case "default":
      case "prefault":
        found.defaultValue ??= def.defaultValue;
        current = def.innerType;
        break;
      case "optional":
      case "readonly":
        current = def.innerType;
        break;
      case "pipe":
        current = def.in;
        break;
      case "nullable":
        throw new Error(
          `${where}: null is not in the contract's vocabulary, except as an item of a list. Use .optional().`,
        );
      default:
        return { inner: current, ...found };
    }
  }
}

/** Which of the text-like scalars a string schema is. */
export function stringScalar(schema: z.core.$ZodType): ScalarName {
  const { format } = (schema as z.core.$ZodStringFormat)._zod.def;
  if (format === "datetime") return "timestamp";
  if (format === "base64") return "base64";
  return "string";
}

/** Which number a number schema is. JSON Schema would only say "integer". */
export function numberScalar(schema: z.core.$ZodType, where: string): ScalarName {
  const { def } = (schema as z.core.$ZodNumber)._zod;
  const formats = [def, ...(def.checks ?? []).map((check) => check._zod.def)].map(
    (part) => (part as Partial<z.core.$ZodNumberFormatDef>).format,
  );
  const format = formats.find((name) => name !== undefined);
  switch (format) {
    case undefined:
    case "float64":
      return "double";
    case "int32":
      return "int32";
    case "safeint":
    case "uint32":
      return "int64";
    default:
      throw new Error(`${where}: the number format ${format} is not in the contract's vocabulary.`);
  }
}

const BOUND_KEYWORDS = [
  "format",
  "minLength",
  "maxLength",
  "pattern",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minItems",
  "maxItems",
  "uniqueItems",
  "propertyNames",
  "maxProperties",
  "contentEncoding",
] as const;

/** Formats say it better than the long patterns zod checks them with. */
const SELF_EXPLAINING_FORMATS = new Set(["uuid", "date-time", "base64"]);

/** The bounds of one schema, through zod's JSON Schema; what is inside a list or record is left out. */
export function constraintsOf(schema: z.core.$ZodType): Constraints {
  const emitted = z.toJSONSchema(schema, { io: "input", unrepresentable: "any", reused: "inline" }) as Record<
    string,
    Json
  >;
  const bounds: Record<string, Json> = {};
  for (const keyword of BOUND_KEYWORDS) {
    const value = emitted[keyword];
    if (value !== undefined) bounds[keyword] = value;
  }
  if (SELF_EXPLAINING_FORMATS.has(String(bounds.format))) delete bounds.pattern;
  if (bounds.minLength === 0) delete bounds.minLength;
  if (bounds.minimum === Number.MIN_SAFE_INTEGER) delete bounds.minimum;
  if (bounds.maximum === Number.MAX_SAFE_INTEGER) delete bounds.maximum;
  return bounds;
}
