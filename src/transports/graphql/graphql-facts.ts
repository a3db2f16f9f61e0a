import type { IncomingMessage } from "node:http";
import { badParameter } from "../http/http-error.ts";
import { isIdempotencyKey, readFacts } from "../http/request-facts.ts";
import type { GraphqlFacts } from "./context.ts";

type Extensions = Readonly<Record<string, unknown>> | null | undefined;

/**
 * What the headers say about a request, and its `extensions`, which may carry the idempotency key
 * where a client cannot set headers.
 */
export function readGraphqlFacts(request: IncomingMessage, requestId: string, extensions: Extensions): GraphqlFacts {
  const facts = readFacts(request);
  const key = extensionKey(extensions);
  if (key !== undefined && facts.idempotencyKey !== undefined && key !== facts.idempotencyKey) {
    throw badParameter("extensions.idempotencyKey", "must be the same as the Idempotency-Key header, or be left out");
  }
  return { ...facts, requestId, idempotencyKey: facts.idempotencyKey ?? key };
}

/** The idempotency key in `extensions`. */
export function extensionKey(extensions: Extensions): string | undefined {
  const key = extensions?.idempotencyKey ?? undefined;
  if (key === undefined || isIdempotencyKey(key)) return key;
  throw badParameter("extensions.idempotencyKey", "must be one text of 1 to 255 printable ASCII characters");
}
