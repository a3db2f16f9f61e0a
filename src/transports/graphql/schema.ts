import {
  buildSchema,
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  isObjectType,
  isUnionType,
} from "graphql";
import { buildModel } from "../../contract/build-model.ts";
import type { UnionModel } from "../../contract/model.ts";
import { splitGraphqlName } from "../../contract/names.ts";
import type { Call } from "../../core/call.ts";
import type { AnyEdge } from "../../core/edge.ts";
import type { AppError } from "../../core/errors.ts";
import type { Dispatcher } from "../../core/exchange.ts";
import type { AnyOperation, ServerStreamOperation, UnaryOperation } from "../../core/operation.ts";
import { callStream } from "./call-stream.ts";
import { type GraphqlContext, openCall } from "./context.ts";
import { toGraphqlError } from "./errors.ts";
import { createInputReaders, type ReadInput } from "./inputs.ts";
import { createRelationResolver, type MayRead } from "./relations.ts";
import { installScalars } from "./scalars.ts";

export interface SchemaOptions {
  readonly sdl: string;
  readonly operations: readonly AnyOperation[];
  readonly edges: readonly AnyEdge[];
  readonly services: unknown;
  readonly dispatcher: Dispatcher;
  readonly mayRead: MayRead;
  /** Told of a bug in a relation; bugs in operations are logged by the dispatcher. */
  readonly onUnexpected: (error: AppError, call: Call) => void;
}

type Field = GraphQLField<unknown, GraphqlContext>;

/** The emitted SDL with resolvers on it. Throws where the SDL and the operations have drifted apart. */
export function createExecutableSchema(options: SchemaOptions): GraphQLSchema {
  const schema = buildSchema(options.sdl);
  const model = buildModel(options.operations);
  const readers = createInputReaders(model.unions.values());
  installScalars(schema);
  installUnions(schema, model.unions.values());

  for (const operation of options.operations) {
    if (operation.kind === "bidi") continue;
    const { root, field: name } = splitGraphqlName(operation.graphql);
    const type = {
      query: schema.getQueryType(),
      mutation: schema.getMutationType(),
      subscription: schema.getSubscriptionType(),
    };
    const field = fieldOf(type[root], name, operation.graphql);
    const readInput = root === "mutation" ? readers.wrapped(field.args) : readers.flat(field.args);
    if (operation.kind === "unary") resolveByCall(field, operation, readInput, options.dispatcher);
    else resolveByStream(field, operation, readInput, options.dispatcher);
  }
  for (const edge of options.edges) {
    const parent = schema.getType(edge.type);
    const field = fieldOf(isObjectType(parent) ? parent : undefined, edge.field, `${edge.type}.${edge.field}`);
    field.resolve = createRelationResolver(
      edge,
      options.services,
      readers.flat(field.args),
      options.mayRead,
      options.onUnexpected,
    ) as NonNullable<Field["resolve"]>;
  }
  return schema;
}

function fieldOf(type: GraphQLObjectType | null | undefined, name: string, what: string): Field {
  const field = type?.getFields()[name];
  if (!field) throw new Error(`schema.graphql has no place for "${what}". Run "npm run contract" to emit it anew.`);
  return field;
}

function resolveByCall(
  field: Field,
  // biome-ignore lint/suspicious/noExplicitAny: the services behind an operation are not looked at here.
  operation: UnaryOperation<any>,
  readInput: ReadInput,
  dispatcher: Dispatcher,
): void {
  field.resolve = async (_root, args, context, info) => {
    const call = openCall(context, info);
    try {
      return await dispatcher.unary(operation, readInput(args), call);
    } catch (error) {
      call.undelivered();
      throw toGraphqlError(error, call.requestId || context.facts.requestId);
    }
  };
}

function resolveByStream(
  field: Field,
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  operation: ServerStreamOperation<any>,
  readInput: ReadInput,
  dispatcher: Dispatcher,
): void {
  const { cursor } = operation;
  field.subscribe = (_root, args, context, info) => {
    const call = openCall(context, info);
    const input = readInput(args);
    // A browser's EventSource reconnects by itself and says where it stopped.
    if (cursor && context.facts.lastEventId !== undefined) input[cursor.input] = context.facts.lastEventId;
    return callStream(dispatcher.serverStream(operation, input, call), call);
  };
  field.resolve = (event, _args, context) => {
    if (cursor) context.cursor = (event as Record<string, string | undefined>)[cursor.output];
    return event;
  };
}

/** A union's member is found through its discriminator, as everywhere else. */
function installUnions(schema: GraphQLSchema, unions: Iterable<UnionModel>): void {
  for (const { id, discriminator, members } of unions) {
    const type = schema.getType(id);
    if (!isUnionType(type)) continue;
    const messageByValue = new Map(members.map(({ value, message }) => [value, message]));
    type.resolveType = (value: Record<string, string>) => messageByValue.get(value[discriminator] ?? "");
  }
}
