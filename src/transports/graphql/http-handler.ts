import { randomUUID } from "node:crypto";
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { GraphQLError } from "graphql";
import { type AppError, toAppError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Admit } from "../admit.ts";
import { HttpError } from "../http/http-error.ts";
import { hasGuardedBody, type ReadBytesOptions, readBytes } from "../http/read-bytes.ts";
import { readRequestId } from "../http/request-facts.ts";
import { STATUS_BY_CODE } from "../http/status.ts";
import type { OnRefused } from "../on-refused.ts";
import type { ActiveRequests } from "./active-requests.ts";
import { answerHeaders, refusal, retryAfterSeconds, statusOf, toWireResult, type WireResult } from "./answer.ts";
import { abortContext, createContext, endContext, type GraphqlContext } from "./context.ts";
import { type Engine, isRefused, type PreparedQuery } from "./engine.ts";
import { codeOf, toGraphqlError } from "./errors.ts";
import { openEventStream, sendSubscription } from "./event-stream.ts";
import { createGraphiqlPage, wantsPage } from "./graphiql.ts";
import { readGraphqlFacts } from "./graphql-facts.ts";
import { type HttpParams, parseBody, parseSearch } from "./http-params.ts";
import type { IntrospectionGuard } from "./introspection.ts";
import type { GraphqlLimits } from "./limits.ts";
import { type AnswerType, checkContentType, EVENT_STREAM_TYPE, JSON_TYPE, negotiate } from "./media-type.ts";

export const ENDPOINT = "/graphql";

export interface HttpHandlerOptions {
  readonly engine: Engine;
  readonly limits: GraphqlLimits;
  readonly admit: Admit;
  readonly bodyOptions: ReadBytesOptions;
  readonly active: ActiveRequests;
  readonly mayIntrospect: IntrospectionGuard;
  readonly graphiql: boolean;
  readonly logger: Logger;
  readonly onRefused: OnRefused;
}

/** Answers GraphQL over HTTP: POST with JSON, GET for queries, and server-sent events for subscriptions. */
export function createHttpHandler(options: HttpHandlerOptions) {
  const { engine, limits, active } = options;
  const servePage = options.graphiql ? createGraphiqlPage(ENDPOINT) : undefined;

  async function handle(request: IncomingMessage, response: ServerResponse, requestId: string): Promise<void> {
    if (pathOf(request) !== ENDPOINT) throw noSuchPath(pathOf(request));
    if (servePage && wantsPage(request)) return servePage(request, response);
    if (request.method !== "POST" && request.method !== "GET") throw methodNotAllowed("GET, POST");
    const answerType = negotiate(request.headers.accept);
    const params = await readParams(request);
    const context = createContext(readGraphqlFacts(request, requestId, params.extensions));
    const prepared = engine.prepare(params);
    if (isRefused(prepared)) {
      return refuse(response, answerType, prepared, context);
    }
    const { operation } = prepared.operation;
    if (request.method === "GET" && operation === "mutation") throw methodNotAllowed("POST");
    if (operation === "subscription" && answerType !== EVENT_STREAM_TYPE) throw needsEventStream();
    if (prepared.introspects) {
      const denied = await options.mayIntrospect(context.facts.authorization);
      if (denied) return refuse(response, answerType, [toGraphqlError(denied, requestId)], context);
    }
    active.add(context);
    // A response closes after it was sent, too; nothing is left to abort then.
    response.once("close", () => {
      if (!response.writableFinished) abortContext(context);
      endContext(context, response.writableFinished);
    });
    try {
      await execute(prepared, context, response, answerType);
    } finally {
      active.delete(context);
    }
  }

  async function readParams(request: IncomingMessage): Promise<HttpParams> {
    if (request.method === "GET") return parseSearch(request.url ?? "");
    checkContentType(request.headers["content-type"], request.headers["content-encoding"]);
    // What strangers may ask for is short.
    if (hasGuardedBody(request)) await options.admit(request.headers.authorization);
    return parseBody(await readBody(request));
  }

  async function readBody(request: IncomingMessage): Promise<string> {
    try {
      return (await readBytes(request, options.bodyOptions)).toString("utf8");
    } catch (error) {
      // A client that is still sending would not hear the answer over it.
      request.resume();
      throw error;
    }
  }

  async function execute(
    prepared: PreparedQuery,
    context: GraphqlContext,
    response: ServerResponse,
    answerType: AnswerType,
  ): Promise<void> {
    const result = await engine.run(prepared, context);
    if (!(Symbol.asyncIterator in result)) {
      if (result.errors && context.calls.size === 0) return refuse(response, answerType, result.errors, context);
      return send(response, answerType, toWireResult(result, context.facts.requestId), context);
    }
    active.markStream(context);
    const headers = answerHeaders(context.facts.requestId, undefined);
    await sendSubscription(openEventStream(response, headers, limits.heartbeatMs), result, context);
  }

  /** Answers a request of which nothing was executed. */
  function refuse(
    response: ServerResponse,
    answerType: AnswerType,
    errors: readonly GraphQLError[],
    context: GraphqlContext,
  ): void {
    options.onRefused(codeOf(errors));
    send(response, answerType, refusal(errors, context.facts.requestId), context);
  }

  function send(response: ServerResponse, answerType: AnswerType, result: WireResult, context: GraphqlContext): void {
    if (response.destroyed) return;
    const headers = answerHeaders(context.facts.requestId, context);
    const retryAfter = retryAfterSeconds(result.errors);
    if (retryAfter !== undefined) headers["Retry-After"] = retryAfter;
    if (answerType === EVENT_STREAM_TYPE) {
      const stream = openEventStream(response, headers, limits.heartbeatMs);
      void stream.next(result, undefined);
      stream.complete();
      return;
    }
    sendJson(response, statusOf(result, answerType), answerType, result, headers);
  }

  function sendJson(
    response: ServerResponse,
    status: number,
    mediaType: string,
    result: WireResult,
    headers: OutgoingHttpHeaders,
  ): void {
    const body = JSON.stringify(result);
    headers["Content-Type"] = `${mediaType}; charset=utf-8`;
    headers["Content-Length"] = Buffer.byteLength(body);
    if (active.isDraining) headers.Connection = "close";
    response.writeHead(status, headers).end(body);
  }

  /** Answers what is no GraphQL request, in the same shape and with a real status. */
  function sendError(response: ServerResponse, thrown: unknown, requestId: string): void {
    const error = toAppError(thrown);
    if (error.code === "INTERNAL") options.logger.error({ err: error.cause, requestId }, "a GraphQL request failed");
    options.onRefused(error.code);
    if (response.headersSent || response.destroyed) return void response.destroy();
    const status = error instanceof HttpError ? error.status : STATUS_BY_CODE[error.code];
    const headers = { ...answerHeaders(requestId, undefined), ...(error instanceof HttpError && error.headers) };
    sendJson(response, status, JSON_TYPE, refusal([toGraphqlError(error, requestId)], requestId), headers);
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    const requestId = readRequestId(request) ?? randomUUID();
    handle(request, response, requestId).catch((error) => sendError(response, error, requestId));
  };
}

/** The path a request asks for, without its query. */
export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const queryAt = url.indexOf("?");
  return queryAt === -1 ? url : url.slice(0, queryAt);
}

function noSuchPath(path: string): HttpError {
  return new HttpError(
    404,
    "NOT_FOUND",
    "PATH_NOT_FOUND",
    `There is nothing at ${path.slice(0, 200)}. GraphQL is at ${ENDPOINT}.`,
  );
}

function methodNotAllowed(allow: string): HttpError {
  return new HttpError(
    405,
    "UNIMPLEMENTED",
    "METHOD_NOT_ALLOWED",
    `This is offered with ${allow} only; mutations are never executed on GET.`,
    { headers: { Allow: allow } },
  );
}

function needsEventStream(): AppError {
  return new HttpError(
    406,
    "INVALID_ARGUMENT",
    "NOT_ACCEPTABLE",
    `Subscriptions are answered as a stream. Send "Accept: ${EVENT_STREAM_TYPE}", or use WebSocket (graphql-transport-ws).`,
  );
}
