import {
  type DocumentNode,
  type ExecutionResult,
  execute,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
  subscribe,
} from "graphql";
import { createYoga, type Plugin } from "graphql-yoga";
import { AppError, toAppError } from "../../core/errors.ts";
import { type GraphqlContext, markLostFields } from "./context.ts";
import { extensionsOf, hasOurCode, overLimit, relocated, toGraphqlError, withReason } from "./errors.ts";
import type { GraphqlLimits } from "./limits.ts";
import { createQueryCache } from "./query-cache.ts";
import { priceOperation, type QueryCost } from "./query-cost.ts";
import { introspects, shapeProblems } from "./query-shape.ts";
import { variableViolation } from "./variable-violation.ts";

/** The parameters of one request, as every transport of GraphQL has them. */
export interface GraphqlParams {
  readonly query: string;
  readonly operationName?: string | null | undefined;
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
}

/** A request that was parsed, validated and priced, and may be executed. */
export interface PreparedQuery {
  readonly document: DocumentNode;
  readonly operation: OperationDefinitionNode;
  readonly operationName: string | undefined;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Whether it asks about the schema, which may need a credential. */
  readonly introspects: boolean;
}

interface CachedQuery {
  readonly document: DocumentNode | undefined;
  readonly errors: readonly GraphQLError[];
  readonly introspects: boolean;
  readonly operations: Map<string | undefined, { operation: OperationDefinitionNode; price: QueryCost } | null>;
}

export interface EngineOptions {
  readonly schema: GraphQLSchema;
  readonly limits: GraphqlLimits;
  /** Envelop and yoga plugins around context building and execution, e.g. for traces. */
  readonly plugins?: readonly Plugin[];
  /** Whether `Type.field` is a relation, for its cost. */
  readonly isRelation: (typeName: string, fieldName: string) => boolean;
  /** Whether error messages may suggest names out of the schema. */
  readonly suggestsNames: boolean;
  readonly onUnexpected: (error: unknown) => void;
}

export interface Engine {
  readonly schema: GraphQLSchema;
  /** What is wrong with a request, or what to execute. Nothing has run yet. */
  prepare(params: GraphqlParams): PreparedQuery | readonly GraphQLError[];
  /** Executes a query or mutation, or opens a subscription. */
  run(
    prepared: PreparedQuery,
    context: GraphqlContext,
  ): Promise<ExecutionResult | AsyncIterableIterator<ExecutionResult>>;
}

/** Whether `prepare` refused the request. */
export function isRefused(prepared: PreparedQuery | readonly GraphQLError[]): prepared is readonly GraphQLError[] {
  return Array.isArray(prepared);
}

/**
 * Yoga's pipeline with its plugins, without its HTTP handler, which costs several times what
 * execution does. Parsed and validated queries are remembered by their text.
 */
export function createEngine(options: EngineOptions): Engine {
  const { schema, limits } = options;
  const cache = createQueryCache<CachedQuery>(limits.maxCachedQueries);
  const yoga = createYoga<GraphqlContext & Record<string, unknown>>({
    schema,
    logging: false,
    graphiql: false,
    landingPage: false,
    cors: false,
    parserAndValidationCache: false,
    maskedErrors: { maskError: (error) => maskUnexpected(error, options.onUnexpected) },
    plugins: [useReferenceExecutor(), ...(options.plugins ?? [])],
  });
  const enveloped = (context: object) => yoga.getEnveloped(context as Parameters<typeof yoga.getEnveloped>[0]);

  function readQuery(query: string): CachedQuery {
    const refused = (errors: readonly GraphQLError[]): CachedQuery => ({
      document: undefined,
      errors,
      introspects: false,
      operations: new Map(),
    });
    const { parse, validate } = enveloped({});
    let document: DocumentNode;
    try {
      document = parse(query, { maxTokens: limits.maxTokens });
    } catch (error) {
      return refused([parseError(error, limits)]);
    }
    const problems = shapeProblems(document, limits);
    if (problems.length > 0) return refused(problems);
    const errors = (validate(schema, document) as readonly GraphQLError[]).map((error) =>
      validationError(error, options.suggestsNames),
    );
    if (errors.length > 0) return refused(errors);
    return { document, errors: [], introspects: introspects(document), operations: new Map() };
  }

  function readOperation(entry: CachedQuery, name: string | undefined) {
    const document = entry.document!;
    let found = entry.operations.get(name);
    if (found === undefined) {
      const operation = getOperationAST(document, name);
      found = operation && { operation, price: priceOperation(schema, document, operation, options.isRelation) };
      // Only names that exist are remembered: there are few of them, and any number of others.
      if (found) entry.operations.set(name, found);
    }
    return found;
  }

  return {
    schema,
    prepare({ query, operationName, variables }) {
      let entry = cache.get(query);
      if (!entry) {
        if (query.length > limits.maxQueryCharacters) {
          return [overLimit("GRAPHQL_TOO_LONG", "The query text is too long", query.length, limits.maxQueryCharacters)];
        }
        entry = readQuery(query);
        cache.set(query, entry);
      }
      if (!entry.document) return entry.errors;
      const name = operationName ?? undefined;
      const found = readOperation(entry, name);
      if (!found) return [unknownOperation(name)];
      const given = variables ?? {};
      const cost = found.price.cost(given);
      if (cost > limits.maxCost)
        return [overLimit("GRAPHQL_TOO_COSTLY", "The query costs too much", cost, limits.maxCost)];
      return {
        document: entry.document,
        operation: found.operation,
        operationName: name,
        variables: given,
        introspects: entry.introspects,
      };
    },
    async run(prepared, context) {
      const { contextFactory, execute: executeQuery, subscribe: openSubscription } = enveloped(context);
      const args = {
        schema,
        document: prepared.document,
        contextValue: await contextFactory(),
        variableValues: prepared.variables,
        operationName: prepared.operationName,
      };
      const isSubscription = prepared.operation.operation === "subscription";
      const result = await (isSubscription ? openSubscription(args) : executeQuery(args));
      if (!(Symbol.asyncIterator in result)) markLostFields(context, result.data);
      return withReadableErrors(result, prepared, options.suggestsNames);
    },
  };
}

type RunResult = ExecutionResult | AsyncIterableIterator<ExecutionResult>;

/** A result without data was refused over its variables: says which fields of the input that concerns. */
function withReadableErrors(result: RunResult, prepared: PreparedQuery, suggestsNames: boolean): RunResult {
  if (Symbol.asyncIterator in result || !result.errors) return result;
  const errors = result.errors.map((error) => {
    if (hasOurCode(error)) return error;
    if (!suggestsNames) error.message = withoutSuggestion(error.message);
    const violation = variableViolation(error, prepared.operation);
    return withReason(error, "INVALID_ARGUMENT", violation && [violation]);
  });
  return { ...result, errors };
}

/** graphql-js itself instead of yoga's executor: it is the reference, and pulls streams instead of buffering them. */
function useReferenceExecutor(): Plugin {
  return {
    onExecute: ({ setExecuteFn }) => setExecuteFn(execute),
    onSubscribe: ({ setSubscribeFn }) => setSubscribeFn(subscribe),
  };
}

/**
 * What a client may see: our own errors, and what graphql-js says about the request. All else is a
 * bug in a resolver or in the data, and is replaced by a fixed text.
 */
function maskUnexpected(error: unknown, onUnexpected: (error: unknown) => void): Error {
  if (error instanceof GraphQLError) {
    let origin: unknown = error;
    while (origin instanceof GraphQLError && origin.originalError) origin = origin.originalError;
    const isAboutRequest =
      origin instanceof GraphQLError && (!error.path || /^(Argument|Variable) "/.test(error.message));
    if (origin instanceof GraphQLError && (hasOurCode(error) || isAboutRequest)) return error;
    onUnexpected(origin);
    const bug = toAppError(undefined);
    return relocated(error, bug.message, extensionsOf(bug));
  }
  if (error instanceof AppError) return toGraphqlError(error);
  onUnexpected(error);
  return toGraphqlError(error);
}

function parseError(error: unknown, limits: GraphqlLimits): GraphQLError {
  if (!(error instanceof GraphQLError)) return toGraphqlError(error);
  if (error.message.includes(`${limits.maxTokens} tokens. Parsing aborted`)) {
    return overLimit("GRAPHQL_TOO_MANY_TOKENS", "The query has too many words", undefined, limits.maxTokens);
  }
  return withReason(error, "GRAPHQL_PARSE_FAILED");
}

function validationError(error: GraphQLError, suggestsNames: boolean): GraphQLError {
  if (error.message === "Maximum introspection depth exceeded") return withReason(error, "GRAPHQL_TOO_DEEP");
  const found = withReason(error, "GRAPHQL_VALIDATION_FAILED");
  if (!suggestsNames) found.message = withoutSuggestion(found.message);
  return found;
}

/** graphql-js suggests what exists, which tells the schema to those who may not read it. */
function withoutSuggestion(message: string): string {
  return message.replace(/ Did you mean .*\?$/s, "");
}

function unknownOperation(name: string | undefined): GraphQLError {
  return toGraphqlError(
    new AppError(
      "INVALID_ARGUMENT",
      "GRAPHQL_UNKNOWN_OPERATION",
      name === undefined
        ? "The query holds several operations, or none. Say which one to run with operationName."
        : `The query holds no operation named "${name.slice(0, 100)}". Check operationName.`,
      { details: { fields: [{ field: "operationName", message: "must name one operation of the query" }] } },
    ),
  );
}
