import type { IncomingMessage } from "node:http";
import { badParameter } from "./http-error.ts";

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;
/** A string of RFC 9651 section 3.3.3, as the Idempotency-Key draft wants it. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const WHOLE_NUMBER = /^[0-9]{1,10}$/;
const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** What the headers of a request say about it, whichever protocol it carries. */
export interface RequestFacts {
  readonly authorization: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly peer: string | undefined;
  /** Where a stream goes on, as browsers say it (HTML, server-sent events). */
  readonly lastEventId: string | undefined;
}

/** Reads the headers; refuses those that cannot be honoured. */
export function readFacts(request: IncomingMessage): RequestFacts {
  return {
    authorization: request.headers.authorization,
    idempotencyKey: readIdempotencyKey(header(request, "idempotency-key")),
    traceparent: header(request, "traceparent"),
    tracestate: header(request, "tracestate"),
    timeoutMs: readTimeoutMs(header(request, "x-request-timeout-ms")),
    peer: request.socket.remoteAddress,
    lastEventId: header(request, "last-event-id"),
  };
}

/** The client's own id for its request, if it is fit to be repeated in a header and a log. */
export function readRequestId(request: IncomingMessage): string | undefined {
  const id = header(request, "x-request-id");
  return id !== undefined && REQUEST_ID.test(id) ? id : undefined;
}

/** Whether `key` may be an idempotency key. */
export function isIdempotencyKey(key: unknown): key is string {
  return typeof key === "string" && IDEMPOTENCY_KEY.test(key);
}

function readIdempotencyKey(raw: string | undefined): string | undefined {
  if (raw === undefined) return undefined;
  const quoted = QUOTED.exec(raw);
  const key = quoted ? quoted[1]!.replaceAll(/\\(["\\])/g, "$1") : raw;
  if (!isIdempotencyKey(key) || (!quoted && raw.startsWith('"'))) {
    throw badParameter("Idempotency-Key", "must be one text of 1 to 255 printable ASCII characters");
  }
  return key;
}

function readTimeoutMs(raw: string | undefined): number | undefined {
  if (raw === undefined) return undefined;
  const timeoutMs = WHOLE_NUMBER.test(raw) ? Number(raw) : 0;
  if (timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS) {
    throw badParameter("X-Request-Timeout-Ms", `must be a whole number from 1 to ${MAX_TIMEOUT_MS}`);
  }
  return timeoutMs;
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : undefined;
}
