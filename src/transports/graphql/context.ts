import type DataLoader from "dataloader";
import type { GraphQLResolveInfo } from "graphql";
import { Call } from "../../core/call.ts";
import type { AppError } from "../../core/errors.ts";
import type { RequestFacts } from "../http/request-facts.ts";

/** What the headers of a request, or the first message of a socket, say about every call made in it. */
export interface GraphqlFacts extends RequestFacts {
  readonly requestId: string;
}

/** One GraphQL request while it is executed. */
export interface GraphqlContext {
  readonly facts: GraphqlFacts;
  /** The calls of this request by response name; each top-level field is one. */
  readonly calls: Map<string, Call>;
  readonly loaders: Map<unknown, DataLoader<object, unknown>>;
  lastCall: Call | undefined;
  /** Where a subscription stands, for `id:` lines. */
  cursor: string | undefined;
  /** Set once the client has gone or the gateway drains: calls made later are born aborted. */
  abortReason: AppError | undefined;
}

export function createContext(facts: GraphqlFacts): GraphqlContext {
  return {
    facts,
    calls: new Map(),
    loaders: new Map(),
    lastCall: undefined,
    cursor: undefined,
    abortReason: undefined,
  };
}

/** A call for one top-level field: it is authenticated, authorised and limited on its own. */
export function openCall(context: GraphqlContext, info: GraphQLResolveInfo): Call {
  const { facts } = context;
  const name = String(info.path.key);
  const call = new Call({
    protocol: "graphql",
    authorization: facts.authorization,
    idempotencyKey: info.operation.operation === "mutation" ? idempotencyKeyOf(facts, name, info) : undefined,
    traceparent: facts.traceparent,
    tracestate: facts.tracestate,
    timeoutMs: facts.timeoutMs,
    peer: facts.peer,
    requestId: facts.requestId,
  });
  context.calls.set(name, call);
  context.lastCall = call;
  if (context.abortReason) call.abort(context.abortReason);
  return call;
}

/** A request with several mutations has one key; the response name tells their records apart. */
function idempotencyKeyOf(facts: GraphqlFacts, name: string, info: GraphQLResolveInfo): string | undefined {
  if (facts.idempotencyKey === undefined) return undefined;
  const { selections } = info.operation.selectionSet;
  const isOnlyOne = selections.length === 1 && selections[0]!.kind === "Field";
  return isOnlyOne ? facts.idempotencyKey : `${facts.idempotencyKey}:${name}`;
}

/** The call of the top-level field that `info` lies under. */
export function callAbove(context: GraphqlContext, info: GraphQLResolveInfo): Call {
  let path = info.path;
  while (path.prev) path = path.prev;
  return context.calls.get(String(path.key))!;
}

export function abortContext(context: GraphqlContext, reason?: AppError): void {
  for (const call of context.calls.values()) call.abort(reason);
  context.abortReason ??= context.lastCall?.abortReason ?? reason;
}

/** The answer has been handed to the client, or never will be. */
export function endContext(context: GraphqlContext, isDelivered: boolean): void {
  for (const call of context.calls.values()) {
    if (isDelivered) call.delivered();
    else call.undelivered();
  }
}

/** Fields that came to nothing, be it that another one's error took them along, reach nobody. */
export function markLostFields(
  context: GraphqlContext,
  data: Readonly<Record<string, unknown>> | null | undefined,
): void {
  for (const [name, call] of context.calls) if ((data?.[name] ?? null) === null) call.undelivered();
}
