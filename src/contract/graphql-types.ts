import type { Json } from "../core/json.ts";
import type { ContractModel, Direction, ScalarName, TypeModel } from "./model.ts";
import { graphqlInputName } from "./names.ts";

const GRAPHQL_SCALARS: Record<ScalarName, string> = {
  string: "String",
  int32: "Int",
  int64: "SafeInt",
  double: "Float",
  bool: "Boolean",
  timestamp: "DateTime",
  json: "JSON",
  base64: "Base64",
};

/** `id`, `taskId` and `taskIds` name things; GraphQL has a type for that. */
const ID_NAME = /^ids?$|Ids?$/;

/** The type of a field called `name`, without the `!` that says it is always there. */
export function graphqlType(type: TypeModel, name: string, direction: Direction): string {
  switch (type.kind) {
    case "scalar":
      return type.scalar === "string" && ID_NAME.test(name) ? "ID" : GRAPHQL_SCALARS[type.scalar];
    case "literal":
      return "String";
    case "enum":
      return type.id;
    case "message":
    case "union":
      return direction === "input" ? graphqlInputName(type.id) : type.id;
    case "map":
      return "JSON";
    case "list":
      // null is JSON too, so a list of JSON may hold it.
      return `[${graphqlType(type.item, name, direction)}${type.sparse || isJson(type.item) ? "" : "!"}]`;
  }
}

/** Whether null is one of the values, which GraphQL cannot tell from absence. */
export function isJson(type: TypeModel): boolean {
  return type.kind === "scalar" && type.scalar === "json";
}

/**
 * A default as GraphQL text, or undefined where it has none: graphql-js cannot print the default of
 * a scalar that holds an object, and null is what an absent value is anyway.
 */
export function graphqlLiteral(value: Json, type: TypeModel, model: ContractModel): string | undefined {
  if (value === null || type.kind === "map" || type.kind === "union" || isJson(type)) return undefined;
  if (type.kind === "enum") return String(value);
  if (type.kind === "list") {
    const items = (value as Json[]).map((item) => graphqlLiteral(item, type.item, model));
    return items.includes(undefined) ? undefined : `[${items.join(", ")}]`;
  }
  if (type.kind === "message") return messageLiteral(value as Record<string, Json>, type.id, model);
  return JSON.stringify(value);
}

function messageLiteral(value: Record<string, Json>, id: string, model: ContractModel): string | undefined {
  const members: string[] = [];
  for (const field of model.messages.get(id)!.fields) {
    const member = value[field.name];
    if (member === undefined) continue;
    const literal = graphqlLiteral(member, field.type, model);
    if (literal === undefined) return undefined;
    members.push(`${field.name}: ${literal}`);
  }
  return `{ ${members.join(", ")} }`;
}
