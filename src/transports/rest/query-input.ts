import { type FieldViolation, invalidArgument } from "../../core/errors.ts";
import { coerceText, decodePercent, type TextFields } from "./text-input.ts";

const IN_BRACKETS = /^([^[\]]+)\[(.+)\]$/s;

/** `name=value` pairs in their order, decoded as HTML forms encode them. */
export function parseQuery(query: string): [name: string, value: string][] {
  const pairs: [string, string][] = [];
  for (const part of query.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const rawName = equals === -1 ? part : part.slice(0, equals);
    const name = decodePercent(rawName.replaceAll("+", " "), rawName.slice(0, 100));
    const value = equals === -1 ? "" : part.slice(equals + 1);
    pairs.push([name, decodePercent(value.replaceAll("+", " "), name)]);
  }
  return pairs;
}

/**
 * Adds query parameters to `input` as its schema wants them: a repeated parameter for a list,
 * `labels[key]=value` for a map. Names no field has are added too: validation refuses them by name.
 */
export function readQueryInput(query: string, fields: TextFields, input: Record<string, unknown>): void {
  const refused: FieldViolation[] = [];
  const refuse = (field: string, message: string) => {
    refused.push({ field, message });
  };
  const fromPath = new Set(Object.keys(input));

  for (const [name, value] of parseQuery(query)) {
    const field = fields.get(name);
    if (name === "__proto__") refuse(name, "is not a known parameter");
    else if (field?.shape === "list") {
      input[name] ??= [];
      (input[name] as unknown[]).push(coerceText(value, field.scalar));
    } else if (fromPath.has(name)) {
      if (coerceText(value, field?.scalar ?? "text") !== input[name]) refuse(name, "differs from the one in the path");
    } else if (field?.shape === "map") refuse(name, `is a map: write ${name}[key]=value`);
    else if (field === undefined && readMapEntry(name, value, fields, input, refuse)) continue;
    else if (Object.hasOwn(input, name)) refuse(name, "must be given once");
    else input[name] = field === undefined ? value : coerceText(value, field.scalar);
  }
  if (refused.length > 0) throw invalidArgument(refused);
}

/** Takes `labels[key]=value` where `labels` is a map; answers whether it was such a parameter. */
function readMapEntry(
  name: string,
  value: string,
  fields: TextFields,
  input: Record<string, unknown>,
  refuse: (field: string, message: string) => void,
): boolean {
  const parts = IN_BRACKETS.exec(name);
  const field = parts ? fields.get(parts[1]!) : undefined;
  if (!parts || field?.shape !== "map") return false;
  const [, mapName, key] = parts as unknown as [string, string, string];
  input[mapName] ??= {};
  const map = input[mapName] as Record<string, unknown>;
  if (key === "__proto__") refuse(name, "is not a possible key");
  else if (Object.hasOwn(map, key)) refuse(name, "must be given once");
  else map[key] = coerceText(value, field.scalar);
  return true;
}
