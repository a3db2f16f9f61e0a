import { Metadata } from "@grpc/grpc-js";
import type { Call, RateLimitState } from "../../core/call.ts";

/** What every answer carries beside its messages: the request's id and where the caller stands with its limit. */
export function responseMetadata(call: Call): Metadata {
  const metadata = new Metadata();
  if (call.requestId) metadata.set("x-request-id", call.requestId);
  if (call.rateLimit) {
    metadata.set("ratelimit-policy", rateLimitPolicy(call.rateLimit));
    metadata.set("ratelimit", rateLimit(call.rateLimit));
  }
  return metadata;
}

// Both are structured fields of draft-ietf-httpapi-ratelimit-headers-11.
function rateLimitPolicy({ limit, windowSeconds }: RateLimitState): string {
  return `"namespace";q=${limit};w=${windowSeconds}`;
}

function rateLimit({ remaining, resetSeconds }: RateLimitState): string {
  return `"namespace";r=${remaining};t=${resetSeconds}`;
}
