import type { IncomingMessage } from "node:http";
import type { IncomingCall } from "../../core/call.ts";
import { readFacts, readRequestId } from "../http/request-facts.ts";

/** What the headers say about a request; refuses those that cannot be honoured. */
export function readIncoming(request: IncomingMessage): IncomingCall {
  return { protocol: "rest", ...readFacts(request), requestId: readRequestId(request) };
}
