import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Call } from "../../core/call.ts";
import { toAppError } from "../../core/errors.ts";
import { HttpError } from "../http/http-error.ts";
import { readRequestId } from "../http/request-facts.ts";
import { hasBody } from "./body.ts";
import type { RestContext } from "./context.ts";
import { PROBLEM_TYPE, type Problem, toProblem } from "./problem.ts";

const ETAG = /^[\x21\x23-\x7e]{1,256}$/;
/** Up to this size an unread body is left to Node, which skips it and keeps the connection. */
const SKIPPABLE_BODY_BYTES = 64 * 1024;
const LINGER_MS = 1_000;
const LINGER_BYTES = 1024 * 1024;

/** The path a request asks for, without its query. */
export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const queryAt = url.indexOf("?");
  return queryAt === -1 ? url : url.slice(0, queryAt);
}

/** The headers that every answer of an operation has. */
export function answerHeaders(
  context: RestContext,
  request: IncomingMessage,
  call: Call | undefined,
): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    "X-Request-Id": call?.requestId || readRequestId(request) || context.ids.uuid(),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
  };
  const rateLimit = call?.rateLimit;
  if (rateLimit !== undefined) {
    headers["RateLimit-Policy"] = `"namespace";q=${rateLimit.limit};w=${rateLimit.windowSeconds}`;
    headers.RateLimit = `"namespace";r=${rateLimit.remaining};t=${rateLimit.resetSeconds}`;
  }
  if (context.draining) headers.Connection = "close";
  context.cors?.allow(request.headers.origin, headers);
  return headers;
}

function matchesETag(ifNoneMatch: string, etag: string): boolean {
  if (ifNoneMatch.trim() === "*") return true;
  return ifNoneMatch.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === `"${etag}"`);
}

/** Answers 200 with `output`, or 304 where the client has just that already. */
export function sendOutput(
  context: RestContext,
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  output: unknown,
): void {
  if (response.destroyed) return;
  const headers = answerHeaders(context, request, call);
  const etag = (output as { etag?: unknown } | null)?.etag;
  const isRead = request.method === "GET" || request.method === "HEAD";
  if (isRead && typeof etag === "string" && ETAG.test(etag)) {
    headers.ETag = `W/"${etag}"`;
    headers["Cache-Control"] = "private, no-cache";
    const ifNoneMatch = request.headers["if-none-match"];
    if (ifNoneMatch !== undefined && matchesETag(ifNoneMatch, etag)) {
      response.writeHead(304, headers).end();
      return;
    }
  }
  const body = JSON.stringify(output);
  headers["Content-Type"] = "application/json";
  headers["Content-Length"] = Buffer.byteLength(body);
  response.writeHead(200, headers).end(body);
}

/**
 * Answers while the client may still be sending a body that nobody will read. Closing at once would
 * reset the connection and could take the answer with it, so what comes is thrown away for a little.
 */
function sendAndLinger(request: IncomingMessage, response: ServerResponse, body: string): void {
  response.write(body);
  let skipped = 0;
  const finish = () => {
    clearTimeout(timer);
    response.end();
  };
  const timer = setTimeout(finish, LINGER_MS);
  request.on("data", (chunk: Buffer) => {
    skipped += chunk.length;
    if (skipped > LINGER_BYTES) finish();
  });
  request.once("end", finish);
  request.once("close", finish);
  request.resume();
}

function hasLargeUnreadBody(request: IncomingMessage): boolean {
  if (request.complete || !hasBody(request)) return false;
  const length = request.headers["content-length"];
  return length === undefined || Number(length) > SKIPPABLE_BODY_BYTES;
}

/** Turns what was thrown into a problem, under the id that the answer or record will carry. */
export function problemOf(request: IncomingMessage, thrown: unknown, requestId: string): Problem {
  return toProblem(toAppError(thrown), pathOf(request), requestId);
}

/** Answers with a problem to what reaches no operation, and counts it. */
export function sendRefusal(
  context: RestContext,
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
  call?: Call,
): void {
  context.onRefused(toAppError(thrown).code);
  sendProblem(context, request, response, thrown, call);
}

/** Answers with a problem. Does nothing where the client has gone or the answer has begun. */
export function sendProblem(
  context: RestContext,
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
  call?: Call,
): void {
  if (response.destroyed || response.headersSent) return;
  const headers = answerHeaders(context, request, call);
  const problem = problemOf(request, thrown, String(headers["X-Request-Id"]));
  if (thrown instanceof HttpError) Object.assign(headers, thrown.headers);
  if (problem.retryAfterMs !== undefined) headers["Retry-After"] = Math.ceil(problem.retryAfterMs / 1000);
  if (problem.status === 401) {
    const failed = request.headers.authorization === undefined ? "" : ', error="invalid_token"';
    headers["WWW-Authenticate"] = `Bearer realm="tarl-gateway"${failed}`;
  }
  const body = JSON.stringify(problem);
  headers["Content-Type"] = PROBLEM_TYPE;
  headers["Content-Length"] = Buffer.byteLength(body);
  if (hasLargeUnreadBody(request)) {
    headers.Connection = "close";
    response.writeHead(problem.status, headers);
    sendAndLinger(request, response, body);
  } else {
    response.writeHead(problem.status, headers).end(body);
  }
}
