import type { OutgoingHttpHeaders } from "node:http";

const REQUEST_HEADERS =
  "Authorization, Content-Type, Accept, Idempotency-Key, If-None-Match, Last-Event-ID, X-Request-Id, X-Request-Timeout-Ms, traceparent, tracestate";
const ANSWER_HEADERS = "ETag, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id";
const PREFLIGHT_MAX_AGE_SECONDS = 600;

export interface CorsPolicy {
  /** Adds what lets a page of `origin` read the answer, where that origin is on the list. */
  allow(origin: string | undefined, headers: OutgoingHttpHeaders): void;
  /** Adds what answers a preflight, on top of `allow`. */
  allowPreflight(origin: string | undefined, methods: string, headers: OutgoingHttpHeaders): void;
}

/** Origins such as `https://console.example.com`, or `*` for all. Without any there is no CORS at all. */
export function createCorsPolicy(origins: readonly string[]): CorsPolicy | undefined {
  if (origins.length === 0) return undefined;
  const listed = new Set(origins);
  const isListed = (origin: string | undefined) => origin !== undefined && (listed.has("*") || listed.has(origin));

  const policy: CorsPolicy = {
    allow(origin, headers) {
      headers.Vary = "Origin";
      if (!isListed(origin)) return;
      headers["Access-Control-Allow-Origin"] = origin;
      headers["Access-Control-Expose-Headers"] = ANSWER_HEADERS;
    },
    allowPreflight(origin, methods, headers) {
      policy.allow(origin, headers);
      if (!isListed(origin)) return;
      headers["Access-Control-Allow-Methods"] = methods;
      headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS;
      headers["Access-Control-Max-Age"] = PREFLIGHT_MAX_AGE_SECONDS;
    },
  };
  return policy;
}
