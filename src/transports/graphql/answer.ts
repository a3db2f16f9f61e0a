import type { OutgoingHttpHeaders } from "node:http";
import type { ExecutionResult, GraphQLError } from "graphql";
import { STATUS_BY_CODE } from "../http/status.ts";
import type { GraphqlContext } from "./context.ts";
import { type ErrorExtensions, toWireError, type WireError } from "./errors.ts";
import { GRAPHQL_TYPE } from "./media-type.ts";

/** A result as it goes over the wire. */
export interface WireResult {
  readonly errors?: readonly WireError[];
  readonly data?: unknown;
}

export function toWireResult(result: ExecutionResult, requestId: string): WireResult {
  if (!result.errors) return { data: result.data };
  const errors = result.errors.map((error) => toWireError(error, requestId));
  return "data" in result ? { errors, data: result.data } : { errors };
}

/**
 * The status of a well-formed GraphQL request: 200 whenever it was executed, and always for
 * application/json, whose clients cannot tell our 400 from a proxy's (GraphQL over HTTP, section 6.4).
 */
export function statusOf(result: WireResult, mediaType: string): number {
  if (mediaType !== GRAPHQL_TYPE || "data" in result) return 200;
  return STATUS_BY_CODE[result.errors?.[0]?.extensions.code ?? "INTERNAL"];
}

/** The headers that every answer has. */
export function answerHeaders(requestId: string, context: GraphqlContext | undefined): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {
    "X-Request-Id": requestId,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
  };
  const rateLimit = context?.lastCall?.rateLimit;
  if (rateLimit) {
    headers["RateLimit-Policy"] = `"namespace";q=${rateLimit.limit};w=${rateLimit.windowSeconds}`;
    headers.RateLimit = `"namespace";r=${rateLimit.remaining};t=${rateLimit.resetSeconds}`;
  }
  return headers;
}

/** `Retry-After` in seconds, where any error says when to try again. */
export function retryAfterSeconds(errors: readonly { extensions: object }[] | undefined): number | undefined {
  let longestMs: number | undefined;
  for (const { extensions } of errors ?? []) {
    const { retryAfterMs } = extensions as ErrorExtensions;
    if (retryAfterMs !== undefined && retryAfterMs > (longestMs ?? -1)) longestMs = retryAfterMs;
  }
  return longestMs === undefined ? undefined : Math.ceil(longestMs / 1000);
}

export function refusal(errors: readonly GraphQLError[], requestId: string): WireResult {
  return toWireResult({ errors }, requestId);
}
