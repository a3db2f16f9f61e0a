import type { z } from "zod";
import { invalidArgument } from "../../core/errors.ts";

type ScalarKind = "text" | "number" | "boolean";

/** How the text of one path variable or query parameter becomes the value its schema expects. */
export interface TextField {
  readonly shape: "one" | "list" | "map";
  readonly scalar: ScalarKind;
}

export type TextFields = ReadonlyMap<string, TextField>;

/** Takes off what does not change how a value is written: optional, default, nullable, pipes. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodTypes["_zod"]["def"] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
    case "nonoptional":
    case "readonly":
    case "catch":
      return unwrap(def.innerType);
    case "pipe":
      return unwrap(def.in);
    case "lazy":
      return unwrap(def.getter());
    default:
      return def;
  }
}

function scalarOf(schema: z.core.$ZodType): ScalarKind {
  const def = unwrap(schema);
  return def.type === "number" || def.type === "boolean" ? def.type : "text";
}

/** Compiles, once per operation, how each field of its input is read from text. */
export function compileTextFields(input: z.ZodObject): TextFields {
  const fields = new Map<string, TextField>();
  for (const [name, schema] of Object.entries(input.shape)) {
    const def = unwrap(schema as z.core.$ZodType);
    if (def.type === "array") fields.set(name, { shape: "list", scalar: scalarOf(def.element) });
    else if (def.type === "record") fields.set(name, { shape: "map", scalar: scalarOf(def.valueType) });
    else fields.set(name, { shape: "one", scalar: scalarOf(schema as z.core.$ZodType) });
  }
  return fields;
}

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

/** What is no number or boolean stays text, so that validation refuses it by its name. */
export function coerceText(text: string, kind: ScalarKind): string | number | boolean {
  if (kind === "number" && NUMBER.test(text)) {
    const value = Number(text);
    return Number.isFinite(value) ? value : text;
  }
  if (kind === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}

/** Undoes percent-encoding; refuses what is not UTF-8 by the field's name. */
export function decodePercent(text: string, field: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalidArgument([{ field, message: "is not valid percent-encoded UTF-8" }]);
  }
}
