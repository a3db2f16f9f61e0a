import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { RequestFacts } from "./context.ts";
import { badParameter } from "./http-error.ts";

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;
/** A string of RFC 9651 section 3.3.3, as the Idempotency-Key draft wants it. */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
const WHOLE_NUMBER = /^[0-9]{1,10}$/;
const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** The client's own id for its request where it is fit to be repeated in a header and a log, or a new one. */
export function requestIdOf(request: IncomingMessage): string {
  const id = request.headers["x-request-id"];
  return typeof id === "string" && REQUEST_ID.test(id) ? id : randomUUID();
}

/**
 * What the headers say about a request, and its `extensions`, which may carry the idempotency key
 * where a client cannot set headers. Refuses what cannot be honoured.
 */
export function readFacts(
  request: IncomingMessage,
  requestId: string,
  extensions: Readonly<Record<string, unknown>> | null | undefined,
): RequestFacts {
  const { headers } = request;
  return {
    requestId,
    authorization: headers.authorization,
    idempotencyKey: readIdempotencyKey(headers["idempotency-key"], extensions),
    traceparent: single(headers.traceparent),
    tracestate: single(headers.tracestate),
    timeoutMs: readTimeoutMs(single(headers["x-request-timeout-ms"])),
    peer: request.socket.remoteAddress,
    lastEventId: single(headers["last-event-id"]),
  };
}

function single(value: string | string[] | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function readIdempotencyKey(
  header: string | string[] | undefined,
  extensions: Readonly<Record<string, unknown>> | null | undefined,
): string | undefined {
  const extension = extensions?.idempotencyKey ?? undefined;
  if (header === undefined && extension === undefined) return undefined;
  const raw = header ?? extension;
  const quoted = typeof header === "string" ? QUOTED.exec(header) : null;
  const key = quoted ? quoted[1]!.replaceAll(/\\(["\\])/g, "$1") : raw;
  if (typeof key !== "string" || !IDEMPOTENCY_KEY.test(key) || (!quoted && key.startsWith('"'))) {
    const field = header === undefined ? "extensions.idempotencyKey" : "Idempotency-Key";
    throw badParameter(field, "must be one text of 1 to 255 printable ASCII characters");
  }
  if (header !== undefined && extension !== undefined && extension !== key) {
    throw badParameter("extensions.idempotencyKey", "must be the same as the Idempotency-Key header, or be left out");
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
