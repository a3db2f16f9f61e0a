import { z } from "zod";
import type { Json } from "../core/json.ts";
import type { AnyOperation } from "../core/operation.ts";
import type { ContractModel, Direction, EnumModel, FieldModel, MessageModel, TypeModel, UnionModel } from "./model.ts";
import { unionMemberName } from "./names.ts";
import { constraintsOf, idOf, metaOf, numberScalar, stringScalar, unwrap } from "./zod-facts.ts";

/** What an id was first read from: a message's shape, a union's options, an enumeration's words. */
interface Claim {
  readonly kind: "message" | "union" | "enum";
  readonly identity: unknown;
}

/**
 * Reads the schemas of `operations` into the intermediate model. Throws where a schema says
 * something that not every protocol can carry, or where one id stands for two shapes.
 */
export function buildModel(operations: readonly AnyOperation[]): ContractModel {
  const messages = new Map<string, MessageModel>();
  const enums = new Map<string, EnumModel>();
  const unions = new Map<string, UnionModel>();
  const roots = new Map<AnyOperation, { input: string; output: string }>();
  const reader = createReader(messages, enums, unions);
  for (const operation of operations) {
    roots.set(operation, {
      input: reader.message(operation.input, `${operation.name} input`),
      output: reader.message(operation.output, `${operation.name} output`),
    });
  }
  for (const { input, output } of roots.values()) {
    markUse(input, "input", messages, unions);
    markUse(output, "output", messages, unions);
  }
  const root = (operation: AnyOperation, direction: Direction) => {
    const found = roots.get(operation);
    if (!found) throw new Error(`The operation ${operation.name} is not part of this contract.`);
    return messages.get(found[direction])!;
  };
  return {
    operations,
    messages,
    enums,
    unions,
    input: (operation) => root(operation, "input"),
    output: (operation) => root(operation, "output"),
  };
}

function createReader(
  messages: Map<string, MessageModel>,
  enums: Map<string, EnumModel>,
  unions: Map<string, UnionModel>,
) {
  const claims = new Map<string, Claim>();

  /** True where `id` is new; throws where it means something else already. */
  function claim(id: string, kind: Claim["kind"], identity: unknown, where: string): boolean {
    const known = claims.get(id);
    if (!known) {
      claims.set(id, { kind, identity });
      return true;
    }
    const same =
      known.kind === kind && (known.identity === identity || shapeText(known.identity) === shapeText(identity));
    if (!same)
      throw new Error(`${where}: the id "${id}" is used for two different shapes. Give one of them another id.`);
    return false;
  }

  function message(schema: z.core.$ZodType, where: string): string {
    const id = requireId(schema, where, "an object");
    const { shape } = (schema as z.core.$ZodObject)._zod.def;
    if (!claim(id, "message", shape, where)) return id;
    const fields: FieldModel[] = [];
    messages.set(id, { id, description: descriptionOf(schema), fields, usedAs: new Set() });
    for (const [name, field] of Object.entries(shape)) fields.push(readField(name, field, `${where}.${name}`));
    return id;
  }

  function readField(name: string, schema: z.core.$ZodType, where: string): FieldModel {
    const outer = unwrap(schema, where);
    return {
      name,
      description: outer.description,
      type: readType(outer.inner, where),
      requiredInInput: outer.requiredInInput,
      requiredInOutput: outer.requiredInOutput,
      ...(outer.defaultValue === undefined ? {} : { defaultValue: outer.defaultValue as Json }),
      ...(outer.visibleTo === undefined ? {} : { visibleTo: outer.visibleTo }),
    };
  }

  function readType(schema: z.core.$ZodType, where: string): TypeModel {
    if (metaOf(schema)?.json === true) return { kind: "scalar", scalar: "json", constraints: {} };
    const { def } = (schema as z.core.$ZodTypes)._zod;
    switch (def.type) {
      case "string":
        return { kind: "scalar", scalar: stringScalar(schema), constraints: constraintsOf(schema) };
      case "number":
        return { kind: "scalar", scalar: numberScalar(schema, where), constraints: constraintsOf(schema) };
      case "boolean":
        return { kind: "scalar", scalar: "bool", constraints: {} };
      case "literal":
        return { kind: "literal", value: literalText(def.values, where) };
      case "enum":
        return { kind: "enum", id: enumeration(schema, def.entries, where) };
      case "object":
        return { kind: "message", id: message(schema, where) };
      case "union":
        return { kind: "union", id: union(schema, where) };
      case "array":
        return readList(schema, def.element, where);
      case "record":
        return { kind: "map", value: readItem(def.valueType, `${where}{}`), constraints: constraintsOf(schema) };
      default:
        throw new Error(`${where}: z.${def.type}() is not in the contract's vocabulary (docs/architecture.md).`);
    }
  }

  function readList(schema: z.core.$ZodType, element: z.core.$ZodType, where: string): TypeModel {
    const { def } = (element as z.core.$ZodTypes)._zod;
    const sparse = def.type === "nullable";
    const item = readItem(sparse ? def.innerType : element, `${where}[]`);
    return { kind: "list", item, constraints: constraintsOf(schema), sparse };
  }

  /** What is inside a list or a map: always there, and neither a list nor a map, which proto cannot nest. */
  function readItem(schema: z.core.$ZodType, where: string): TypeModel {
    const item = readField("", schema, where);
    const nested = item.type.kind === "list" || item.type.kind === "map" || item.type.kind === "literal";
    if (nested || !item.requiredInInput || !item.requiredInOutput) {
      throw new Error(`${where}: what is inside a list or record must be required, and no list, record or literal.`);
    }
    return item.type;
  }

  function enumeration(schema: z.core.$ZodType, entries: z.core.util.EnumLike, where: string): string {
    const id = requireId(schema, where, "an enumeration");
    const values = Object.values(entries).map(String);
    for (const value of values) {
      if (!/^[A-Z][A-Z0-9_]*$/.test(value))
        throw new Error(`${where}: the word "${value}" of ${id} is not UPPER_SNAKE.`);
    }
    if (claim(id, "enum", JSON.stringify(values), where)) {
      const valueDescriptions = (metaOf(schema)?.values ?? {}) as Record<string, string>;
      enums.set(id, { id, description: descriptionOf(schema), values, valueDescriptions });
    }
    return id;
  }

  function union(schema: z.core.$ZodType, where: string): string {
    const def = (schema as z.core.$ZodDiscriminatedUnion)._zod.def;
    const discriminator: string | undefined = def.discriminator;
    if (!discriminator) throw new Error(`${where}: only unions with a discriminator are in the contract's vocabulary.`);
    const id = requireId(schema, where, "a discriminated union");
    if (!claim(id, "union", def.options, where)) return id;
    const members = def.options.map((option) => {
      const messageId = message(option, `${where}|${idOf(option) ?? "?"}`);
      const tag = messages.get(messageId)!.fields.find((field) => field.name === discriminator);
      if (tag?.type.kind !== "literal")
        throw new Error(`${where}: ${messageId}.${discriminator} must be one z.literal().`);
      return { value: tag.type.value, name: unionMemberName(tag.type.value), message: messageId };
    });
    unions.set(id, { id, description: descriptionOf(schema), discriminator, members, usedAs: new Set() });
    return id;
  }

  return { message };
}

/** A text that is equal for equal shapes, to compare what is declared twice under one id. */
function shapeText(identity: unknown): string {
  if (typeof identity === "string") return identity;
  const schema = Array.isArray(identity)
    ? z.union(identity as z.ZodType[])
    : z.strictObject(identity as z.core.$ZodLooseShape);
  return JSON.stringify(z.toJSONSchema(schema, { unrepresentable: "any", io: "input", reused: "inline" }));
}

function requireId(schema: z.core.$ZodType, where: string, what: string): string {
  const id = idOf(schema);
  if (!id) throw new Error(`${where}: ${what} needs an id. Make it with message(), enumeration() or .meta({ id }).`);
  if (!/^[A-Z][A-Za-z0-9]*$/.test(id)) throw new Error(`${where}: the id "${id}" is not in PascalCase.`);
  return id;
}

/** The description that belongs to the id itself, not to one use of it. */
function descriptionOf(schema: z.core.$ZodType): string {
  for (let current: z.core.$ZodType | undefined = schema; current; current = current._zod.parent) {
    const meta = z.globalRegistry.get(current);
    if (meta?.id) return meta.description ?? "";
  }
  return "";
}

function literalText(values: readonly unknown[], where: string): string {
  const [value] = values;
  if (values.length !== 1 || typeof value !== "string") throw new Error(`${where}: a literal must be one string.`);
  return value;
}

function markUse(
  id: string,
  direction: Direction,
  messages: ReadonlyMap<string, MessageModel>,
  unions: ReadonlyMap<string, UnionModel>,
): void {
  const union = unions.get(id);
  const used = (union ?? messages.get(id)!).usedAs as Set<Direction>;
  if (used.has(direction)) return;
  used.add(direction);
  const next = union
    ? union.members.map((member) => member.message)
    : messages.get(id)!.fields.flatMap((field) => referencedIds(field.type));
  for (const target of next) markUse(target, direction, messages, unions);
}

/** The messages and unions that a type leads to. */
function referencedIds(type: TypeModel): string[] {
  if (type.kind === "message" || type.kind === "union") return [type.id];
  if (type.kind === "list") return referencedIds(type.item);
  if (type.kind === "map") return referencedIds(type.value);
  return [];
}
