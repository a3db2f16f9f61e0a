import type { IncomingMessage, ServerResponse } from "node:http";
import type { Call } from "../../core/call.ts";
import { AppError, toAppError } from "../../core/errors.ts";
import type { AnyOperation } from "../../core/operation.ts";
import { gatewayDraining } from "../gateway-draining.ts";
import { answerHeaders, problemOf, sendProblem } from "./answer.ts";
import type { LiveStream, RestContext } from "./context.ts";
import { chooseFraming, type EndReason, type Framing } from "./framing.ts";
import { createStreamSink, type StreamSink } from "./stream-sink.ts";

type StreamOperation = Extract<AnyOperation, { kind: "serverStream" }>;

const DRAINING: EndReason = "GATEWAY_DRAINING";

/** Where an EventSource that reconnects wants to go on, under the name the operation has for it. */
export function applyLastEventId(
  request: IncomingMessage,
  operation: StreamOperation,
  input: Record<string, unknown>,
): void {
  const lastEventId = request.headers["last-event-id"];
  // It is newer than a cursor in the URL, which EventSource repeats unchanged.
  if (operation.cursor && typeof lastEventId === "string" && lastEventId !== "") {
    input[operation.cursor.input] = lastEventId;
  }
}

function sendStreamHead(
  context: RestContext,
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  framing: Framing,
): string {
  const headers = answerHeaders(context, request, call);
  headers["Content-Type"] = framing.contentType;
  headers["Cache-Control"] = "no-store, no-transform";
  headers["X-Accel-Buffering"] = "no";
  response.writeHead(200, headers);
  return String(headers["X-Request-Id"]);
}

/** One stream on its way to one client. */
interface Outlet {
  readonly framing: Framing;
  readonly sink: StreamSink;
  /** Where the client could resume: after the last message sent, or where it began. */
  cursor: string | undefined;
  isOver: boolean;
  /** Forgets the stream, and aborts its call where the stream did not end by itself. */
  leave(reason?: AppError): void;
  /** Writes an error as the last record, or as a problem with its own status where nothing was sent yet. */
  fail(error: AppError): void;
}

function openOutlet(
  context: RestContext,
  request: IncomingMessage,
  response: ServerResponse,
  call: Call,
  startCursor: unknown,
): Outlet {
  const framing = chooseFraming(request.headers.accept);
  let requestId = "";
  const sendHead = () => {
    requestId = sendStreamHead(context, request, response, call, framing);
  };
  const onStalled = () => {
    outlet.leave(new AppError("CANCELLED", "CLIENT_TOO_SLOW", "The client did not read its stream."));
    response.destroy();
  };
  const sink = createStreamSink(response, context.limits, framing.heartbeat, sendHead, onStalled);
  const live: LiveStream = {
    end(reason) {
      sink.close(framing.end(DRAINING, outlet.cursor));
      outlet.leave(reason);
    },
  };
  const outlet: Outlet = {
    framing,
    sink,
    cursor: typeof startCursor === "string" ? startCursor : undefined,
    isOver: false,
    leave(reason) {
      outlet.isOver = true;
      context.streams.delete(live);
      sink.dispose();
      if (reason) call.abort(reason);
    },
    fail(error) {
      if (!response.headersSent) sendProblem(context, request, response, error, call);
      else if (error.reason === DRAINING) sink.close(framing.end(DRAINING, outlet.cursor));
      else sink.close(framing.error(problemOf(request, error, requestId), outlet.cursor));
      outlet.leave();
    },
  };
  context.streams.add(live);
  response.once("close", () => {
    if (!outlet.isOver) outlet.leave(new AppError("CANCELLED", "CLIENT_CLOSED", "The client closed its stream."));
  });
  return outlet;
}

/** Calls a streaming operation and writes its messages until it, the client or the gateway ends. */
export async function serveStream(
  context: RestContext,
  request: IncomingMessage,
  response: ServerResponse,
  operation: StreamOperation,
  input: Record<string, unknown>,
  call: Call,
): Promise<void> {
  if (context.draining) throw gatewayDraining();
  if (response.destroyed) return;
  const { cursor } = operation;
  const outlet = openOutlet(context, request, response, call, cursor && input[cursor.input]);
  try {
    // Leaving the loop runs the operation's `finally`.
    for await (const value of context.dispatcher.serverStream(operation, input, call)) {
      if (outlet.isOver) return;
      const position = cursor && (value as Record<string, unknown>)[cursor.output];
      const id = typeof position === "string" ? position : undefined;
      outlet.cursor = id ?? outlet.cursor;
      await outlet.sink.write(outlet.framing.message(value, id));
      if (outlet.isOver) return;
    }
    if (outlet.isOver) return;
    outlet.sink.close(outlet.framing.end("COMPLETED", outlet.cursor));
    outlet.leave();
  } catch (thrown) {
    if (!(thrown instanceof AppError)) {
      context.logger.error({ err: thrown, operation: operation.name }, "a message could not be written");
    }
    if (!outlet.isOver) outlet.fail(toAppError(thrown));
  }
}
