import { randomUUID } from "node:crypto";
import type { ExecutionArgs, ExecutionResult, GraphQLError } from "graphql";
import type { Context, ServerOptions } from "graphql-ws";
import { AppError, toAppError } from "../../core/errors.ts";
import type { Principal } from "../../core/principal.ts";
import type { OnRefused } from "../on-refused.ts";
import type { ActiveRequests } from "./active-requests.ts";
import { toWireResult } from "./answer.ts";
import { createContext, endContext, type GraphqlContext, type GraphqlFacts } from "./context.ts";
import { type Engine, isRefused, type PreparedQuery } from "./engine.ts";
import { codeOf, toGraphqlError, toWireError } from "./errors.ts";
import { extensionKey } from "./graphql-facts.ts";
import type { IntrospectionGuard } from "./introspection.ts";
import type { GraphqlLimits } from "./limits.ts";
import type { GraphqlTransportOptions } from "./options.ts";

/** What is known of one WebSocket. */
export interface SocketSession {
  /** From the upgrade request; `connectionParams.authorization` goes before its header. */
  readonly peer: string | undefined;
  authorization: string | undefined;
  principal: Principal | undefined;
  /** The operations under way, by their ids. */
  readonly contexts: Map<string, GraphqlContext>;
  /** Those of them whose latest result was written, as far as that can be known. */
  readonly written: Set<GraphqlContext>;
  /** Set once something could not be written: what was under way then is lost. */
  isBroken: boolean;
}

export interface SocketSessionOptions extends Pick<GraphqlTransportOptions, "authenticate"> {
  readonly engine: Engine;
  readonly limits: GraphqlLimits;
  readonly active: ActiveRequests;
  readonly mayIntrospect: IntrospectionGuard;
  readonly onRefused: OnRefused;
}

type SessionContext = Context<Record<string, unknown> | undefined, SocketSession>;
type PreparedArgs = ExecutionArgs & { readonly prepared: PreparedQuery };

/** The hooks of graphql-ws: who may open a socket, and what an operation on it is. */
export function createSocketHooks(
  options: SocketSessionOptions,
): ServerOptions<Record<string, unknown> | undefined, SocketSession> {
  const { engine, limits, active } = options;

  function finish(session: SocketSession, id: string): void {
    const context = session.contexts.get(id);
    if (!context) return;
    session.contexts.delete(id);
    active.delete(context);
    // A client that completes a mutation by itself is not sent its result.
    endContext(context, session.written.delete(context) && !session.isBroken);
  }

  const run = (args: ExecutionArgs) => engine.run((args as PreparedArgs).prepared, args.contextValue as GraphqlContext);
  const requestIdOf = ({ extra }: SessionContext, id: string) =>
    extra.contexts.get(id)?.facts.requestId ?? randomUUID();

  return {
    connectionInitWaitTimeout: limits.connectionInitTimeoutMs,
    /** Anonymous sockets may open, as anonymous requests may come: each operation is checked on its own. */
    async onConnect({ extra, connectionParams }) {
      const given = connectionParams?.authorization ?? connectionParams?.Authorization;
      if (given !== undefined && typeof given !== "string") return false;
      extra.authorization = given ?? extra.authorization;
      if (extra.authorization === undefined) return true;
      try {
        extra.principal = await options.authenticate(extra.authorization);
        return true;
      } catch (error) {
        // 4403 says the key is bad; when it could not be checked the client should come back.
        if (toAppError(error).code === "UNAUTHENTICATED" || toAppError(error).code === "PERMISSION_DENIED")
          return false;
        throw error;
      }
    },
    async onSubscribe(ctx, id, payload) {
      const session = ctx.extra;
      if (isFull(ctx, limits)) return [tooManyOperations(limits)];
      let facts: GraphqlFacts;
      try {
        facts = factsOf(session, payload.extensions);
      } catch (error) {
        return [toGraphqlError(error)];
      }
      const context = createContext(facts);
      // Counted from here on, also while the checks below wait for something.
      session.contexts.set(id, context);
      active.add(context);
      const refused = (errors: readonly GraphQLError[]) => {
        finish(session, id);
        options.onRefused(codeOf(errors));
        return errors;
      };
      const prepared = engine.prepare(payload);
      if (isRefused(prepared)) return refused(prepared);
      if (prepared.introspects) {
        const denied = await options.mayIntrospect(session.authorization);
        if (denied) return refused([toGraphqlError(denied, facts.requestId)]);
      }
      if (prepared.operation.operation === "subscription") active.markStream(context);
      const { document, operationName, variables } = prepared;
      return {
        schema: engine.schema,
        document,
        operationName,
        variableValues: variables,
        contextValue: context,
        prepared,
      } as PreparedArgs;
    },
    execute: run,
    subscribe: run,
    onNext(ctx, id, _payload, args, result) {
      // It is written before anything else is asked of this operation.
      ctx.extra.written.add((args as PreparedArgs).contextValue as GraphqlContext);
      return toWireResult(result as ExecutionResult, requestIdOf(ctx, id)) as never;
    },
    onError(ctx, id, _payload, errors) {
      const requestId = requestIdOf(ctx, id);
      const wireErrors = errors.map((error) => toWireError(withoutWrapper(error), requestId));
      finish(ctx.extra, id);
      return wireErrors as never;
    },
    onComplete: (ctx, id) => finish(ctx.extra, id),
  };
}

/** graphql-ws wraps what ended a stream; ours lies inside. */
function withoutWrapper(error: GraphQLError): GraphQLError {
  return error.originalError ? toGraphqlError(error.originalError) : error;
}

function factsOf(session: SocketSession, extensions: Record<string, unknown> | null | undefined): GraphqlFacts {
  return {
    requestId: randomUUID(),
    authorization: session.authorization,
    idempotencyKey: extensionKey(extensions),
    traceparent: textOf(extensions?.traceparent),
    tracestate: textOf(extensions?.tracestate),
    timeoutMs: undefined,
    peer: session.peer,
    lastEventId: undefined,
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Operations that the client has left but that have not ended yet are counted apart, so that they cannot pile up. */
function isFull({ subscriptions, extra }: SessionContext, { maxOperationsPerSocket }: GraphqlLimits): boolean {
  return (
    Object.keys(subscriptions).length > maxOperationsPerSocket || extra.contexts.size >= 2 * maxOperationsPerSocket
  );
}

function tooManyOperations({ maxOperationsPerSocket }: GraphqlLimits): GraphQLError {
  return toGraphqlError(
    new AppError(
      "RESOURCE_EXHAUSTED",
      "GRAPHQL_TOO_MANY_OPERATIONS",
      `This socket has ${maxOperationsPerSocket} operations under way, which is the limit. Complete one, or open another socket.`,
      { details: { metadata: { limit: String(maxOperationsPerSocket) } } },
    ),
  );
}
