import { preferredType } from "./accept.ts";
import type { Problem } from "./problem.ts";
import { notAcceptable } from "./refusals.ts";

export type EndReason = "COMPLETED" | "GATEWAY_DRAINING";

/** How the records of a stream are written. The last one is always an end or an error. */
export interface Framing {
  readonly contentType: string;
  readonly heartbeat: string;
  message(value: unknown, cursor: string | undefined): string;
  end(reason: EndReason, cursor: string | undefined): string;
  error(problem: Problem, cursor: string | undefined): string;
}

/** An id is one line; what is not cannot be a cursor a client could send back. */
function idLine(cursor: string | undefined): string {
  return cursor === undefined || /[\r\n\0]/.test(cursor) ? "" : `id: ${cursor}\n`;
}

/** Server-Sent Events. JSON text holds no line breaks, so a record is always one `data:` line. */
export const SSE: Framing = {
  contentType: "text/event-stream; charset=utf-8",
  heartbeat: ": heartbeat\n\n",
  message: (value, cursor) => `${idLine(cursor)}data: ${JSON.stringify(value)}\n\n`,
  end: (reason, cursor) => `event: end\n${idLine(cursor)}data: ${JSON.stringify({ reason, cursor })}\n\n`,
  error: (problem, cursor) => `event: error\n${idLine(cursor)}data: ${JSON.stringify(problem)}\n\n`,
};

/** One JSON object a line; the message is wrapped so that no field of it can look like an end. */
export const NDJSON: Framing = {
  contentType: "application/x-ndjson",
  heartbeat: '{"heartbeat":true}\n',
  message: (result, cursor) => `${JSON.stringify({ result, cursor })}\n`,
  end: (reason, cursor) => `${JSON.stringify({ end: true, reason, cursor })}\n`,
  error: (error, cursor) => `${JSON.stringify({ error, cursor })}\n`,
};

const SSE_TYPE = "text/event-stream";
const NDJSON_TYPE = "application/x-ndjson";

/** SSE unless the Accept header prefers NDJSON. */
export function chooseFraming(accept: string | undefined): Framing {
  const type = preferredType(accept, [SSE_TYPE, NDJSON_TYPE]);
  if (type === undefined) throw notAcceptable([SSE_TYPE, NDJSON_TYPE]);
  return type === NDJSON_TYPE ? NDJSON : SSE;
}
