import {
  type GraphQLArgument,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  isInputObjectType,
  isListType,
  isNonNullType,
} from "graphql";
import type { UnionModel } from "../../contract/model.ts";
import { graphqlInputName } from "../../contract/names.ts";

type Convert = (value: unknown) => unknown;

/** Turns a field's arguments into an operation's input. */
export type ReadInput = (args: Record<string, unknown>) => Record<string, unknown>;

/**
 * Makes readers of arguments. GraphQL says `null` where the others say nothing, so a null counts as
 * absent (JSON scalars keep theirs inside); a `@oneOf` input becomes the tagged object it stands for.
 */
export function createInputReaders(unions: Iterable<UnionModel>) {
  const unionByInput = new Map([...unions].map((union) => [graphqlInputName(union.id), union]));
  const converters = new Map<GraphQLInputObjectType, Convert>();

  function converterOf(type: GraphQLInputType): Convert | undefined {
    if (isNonNullType(type)) return converterOf(type.ofType);
    if (isListType(type)) {
      const convert = converterOf(type.ofType);
      return convert && ((value) => (Array.isArray(value) ? value.map(convert) : value));
    }
    return isInputObjectType(type) ? objectConverter(type) : undefined;
  }

  function objectConverter(type: GraphQLInputObjectType): Convert {
    const known = converters.get(type);
    if (known) return known;
    const fields = new Map<string, Convert>();
    const union = type.isOneOf ? unionByInput.get(type.name) : undefined;
    if (type.isOneOf && !union) throw new Error(`The input ${type.name} is @oneOf, but no union stands behind it.`);
    const convert: Convert = (value) => {
      const object = withoutNulls(value as Record<string, unknown>, fields);
      return union ? toTagged(object, union) : object;
    };
    // Known before its fields are read, because a type may hold itself.
    converters.set(type, convert);
    for (const field of Object.values(type.getFields())) {
      const fieldConvert = converterOf(field.type);
      if (fieldConvert) fields.set(field.name, fieldConvert);
    }
    return convert;
  }

  return {
    /** Flat arguments, each a field of the input. */
    flat(args: readonly GraphQLArgument[]): ReadInput {
      const fields = new Map<string, Convert>();
      for (const arg of args) {
        const convert = converterOf(arg.type);
        if (convert) fields.set(arg.name, convert);
      }
      return (values) => withoutNulls(values, fields);
    },
    /** One argument named `input` that holds them all. */
    wrapped(args: readonly GraphQLArgument[]): ReadInput {
      const convert = args[0] && converterOf(args[0].type);
      return (values) => (convert && values.input ? (convert(values.input) as Record<string, unknown>) : {});
    },
  };
}

function withoutNulls(object: Record<string, unknown>, fields: ReadonlyMap<string, Convert>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  for (const key of Object.keys(object)) {
    const value = object[key];
    if (value === null || value === undefined) continue;
    const convert = fields.get(key);
    kept[key] = convert ? convert(value) : value;
  }
  return kept;
}

/** `{ taskLeased: { … } }` → `{ type: "TASK_LEASED", … }`; graphql-js saw to it that there is one member. */
function toTagged(object: Record<string, unknown>, union: UnionModel): unknown {
  const member = union.members.find(({ name }) => object[name] !== undefined);
  if (!member) return object;
  return { [union.discriminator]: member.value, ...(object[member.name] as Record<string, unknown>) };
}
