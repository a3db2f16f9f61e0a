import type { Json } from "../core/json.ts";
import { enumText, fieldText } from "./comment.ts";
import {
  type ContractModel,
  type Direction,
  type FieldModel,
  isRequired,
  type MessageModel,
  type ScalarName,
  type TypeModel,
  type UnionModel,
} from "./model.ts";

/** A JSON Schema, or another part of an OpenAPI document. */
export type JsonObject = { [key: string]: Json };

const SCALAR_SCHEMAS: Record<ScalarName, JsonObject> = {
  string: { type: "string" },
  int32: { type: "integer", format: "int32" },
  int64: { type: "integer", format: "int64" },
  double: { type: "number", format: "double" },
  bool: { type: "boolean" },
  timestamp: { type: "string", format: "date-time" },
  // Any value whatever, null included.
  json: {},
  base64: { type: "string", contentEncoding: "base64" },
};

/** What the patterns of zod's base64 say is said by the encoding. */
const DROPPED_CONSTRAINTS: Partial<Record<ScalarName, readonly string[]>> = { base64: ["format"] };

/** Writes JSON Schemas, and collects the named ones in `components` as they are first needed. */
export function createSchemaWriter(model: ContractModel) {
  const components: Record<string, JsonObject> = {};

  /** What is sent has other bounds than what is answered, so a message that does both has two schemas. */
  function componentName(used: MessageModel | UnionModel, direction: Direction): string {
    return direction === "input" && used.usedAs.has("output") ? `${used.id}Input` : used.id;
  }

  function reference(id: string, direction: Direction): JsonObject {
    const enumeration = model.enums.get(id);
    const name = enumeration ? id : componentName(model.unions.get(id) ?? model.messages.get(id)!, direction);
    if (components[name] === undefined) {
      // Known before it is written, because a message may hold itself.
      const schema: JsonObject = {};
      components[name] = schema;
      const union = model.unions.get(id);
      if (enumeration) {
        Object.assign(schema, { type: "string", description: enumText(enumeration), enum: [...enumeration.values] });
      } else if (union) Object.assign(schema, unionSchema(union, direction));
      else Object.assign(schema, messageSchema(model.messages.get(id)!, direction, []));
    }
    return { $ref: `#/components/schemas/${name}` };
  }

  function messageSchema(message: MessageModel, direction: Direction, without: readonly string[]): JsonObject {
    const fields = message.fields.filter((field) => !without.includes(field.name));
    const required = fields.filter((field) => isRequired(field, direction)).map((field) => field.name);
    return {
      type: "object",
      ...(message.description ? { description: message.description } : {}),
      properties: Object.fromEntries(fields.map((field) => [field.name, fieldSchema(field, direction)])),
      ...(required.length > 0 ? { required } : {}),
      // Unknown fields are refused on the way in; answers may gain fields.
      ...(direction === "input" ? { additionalProperties: false } : {}),
    };
  }

  function unionSchema(union: UnionModel, direction: Direction): JsonObject {
    const members = union.members.map(({ value, message }) => ({ value, schema: reference(message, direction) }));
    return {
      description: union.description,
      oneOf: members.map(({ schema }) => schema),
      discriminator: {
        propertyName: union.discriminator,
        mapping: Object.fromEntries(members.map(({ value, schema }) => [value, schema.$ref as string])),
      },
    };
  }

  function fieldSchema(field: FieldModel, direction: Direction): JsonObject {
    const description = fieldText(direction === "output" ? field : { description: field.description });
    const hasDefault = direction === "input" && field.defaultValue !== undefined;
    return {
      ...typeSchema(field.type, direction),
      ...(description ? { description } : {}),
      ...(hasDefault ? { default: field.defaultValue! } : {}),
    };
  }

  function typeSchema(type: TypeModel, direction: Direction): JsonObject {
    switch (type.kind) {
      case "scalar": {
        const dropped = DROPPED_CONSTRAINTS[type.scalar] ?? [];
        const bounds = Object.entries(type.constraints).filter(([keyword]) => !dropped.includes(keyword));
        return { ...SCALAR_SCHEMAS[type.scalar], ...Object.fromEntries(bounds) };
      }
      case "literal":
        return { type: "string", const: type.value };
      case "list":
        return { type: "array", items: itemSchema(type, direction), ...type.constraints };
      case "map":
        return { type: "object", additionalProperties: typeSchema(type.value, direction), ...type.constraints };
      default:
        return reference(type.id, direction);
    }
  }

  function itemSchema({ item, sparse }: Extract<TypeModel, { kind: "list" }>, direction: Direction): JsonObject {
    const schema = typeSchema(item, direction);
    return sparse ? { anyOf: [schema, { type: "null" }] } : schema;
  }

  return { components, reference, messageSchema, fieldSchema };
}

export type SchemaWriter = ReturnType<typeof createSchemaWriter>;
