import type { IncomingMessage } from "node:http";
import type { IncomingCall } from "../../core/call.ts";
import { invalidArgument } from "../../core/errors.ts";

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const PRINTABLE_KEY = /^[\x20-\x7e]{1,255}$/;
/** A string of RFC 9651 section 3.3.3, as the Idempotency-Key draft wants it. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const WHOLE_NUMBER = /^[0-9]{1,10}$/;
const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === "string" ? value : undefined;
}

/** The client's own id for its request, if it is fit to be repeated in a header and a log. */
export function readRequestId(request: IncomingMessage): string | undefined {
  const id = header(request, "x-request-id");
  return id !== undefined && REQUEST_ID.test(id) ? id : undefined;
}

function readIdempotencyKey(request: IncomingMessage): string | undefined {
  const raw = header(request, "idempotency-key");
  if (raw === undefined) return undefined;
  const quoted = QUOTED.exec(raw);
  const key = quoted ? quoted[1]!.replaceAll(/\\(["\\])/g, "$1") : raw;
  if (!PRINTABLE_KEY.test(key) || (!quoted && raw.startsWith('"'))) {
    throw invalidArgument([
      { field: "Idempotency-Key", message: "must be one text of 1 to 255 printable ASCII characters" },
    ]);
  }
  return key;
}

function readTimeoutMs(request: IncomingMessage): number | undefined {
  const raw = header(request, "x-request-timeout-ms");
  if (raw === undefined) return undefined;
  const timeoutMs = WHOLE_NUMBER.test(raw) ? Number(raw) : 0;
  if (timeoutMs < 1 || timeoutMs > MAX_TIMEOUT_MS) {
    throw invalidArgument([
      { field: "X-Request-Timeout-Ms", message: `must be a whole number from 1 to ${MAX_TIMEOUT_MS}` },
    ]);
  }
  return timeoutMs;
}

/** What the headers say about a request; refuses those that cannot be honoured. */
export function readIncoming(request: IncomingMessage): IncomingCall {
  return {
    protocol: "rest",
    authorization: request.headers.authorization,
    idempotencyKey: readIdempotencyKey(request),
    traceparent: header(request, "traceparent"),
    tracestate: header(request, "tracestate"),
    timeoutMs: readTimeoutMs(request),
    peer: request.socket.remoteAddress,
    requestId: readRequestId(request),
  };
}
