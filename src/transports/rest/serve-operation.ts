import type { IncomingMessage, ServerResponse } from "node:http";
import { Call } from "../../core/call.ts";
import { AppError, toAppError } from "../../core/errors.ts";
import { hasGuardedBody } from "../http/read-bytes.ts";
import { preferredType } from "./accept.ts";
import { sendOutput, sendProblem, sendRefusal } from "./answer.ts";
import type { RestContext } from "./context.ts";
import { readIncoming } from "./incoming.ts";
import { methodNotAllowed, notAcceptable } from "./refusals.ts";
import { readInput } from "./request-input.ts";
import type { Route } from "./route.ts";
import { applyLastEventId, serveStream } from "./serve-stream.ts";

const JSON_TYPES = ["application/json"];

function checkAcceptsJson(accept: string | undefined): void {
  if (accept === undefined || accept === "*/*" || accept === "application/json") return;
  if (preferredType(accept, JSON_TYPES) === undefined) throw notAcceptable(JSON_TYPES);
}

/** Whether the credential of the request is one whose body is taken in. */
async function isAdmitted({ admit }: RestContext, request: IncomingMessage): Promise<boolean> {
  try {
    await admit(request.headers.authorization);
    return true;
  } catch (thrown) {
    if (toAppError(thrown).code === "UNAUTHENTICATED") return false;
    throw thrown;
  }
}

/** Decodes one request, calls its operation and encodes the answer. Never throws. */
export async function serveOperation(
  context: RestContext,
  request: IncomingMessage,
  response: ServerResponse,
  route: Route,
  segments: readonly string[],
  query: string,
): Promise<void> {
  const { operation } = route;
  let call: Call | undefined;
  let isDispatched = false;
  try {
    call = new Call(readIncoming(request));
    if (operation.kind === "serverStream") {
      if (request.method === "HEAD") throw methodNotAllowed("HEAD", "GET, OPTIONS");
      const input = await readInput(request, response, route, segments, query, context.bodyOptions);
      applyLastEventId(request, operation, input);
      return await serveStream(context, request, response, operation, input, call);
    }
    checkAcceptsJson(request.headers.accept);
    const isRead = !hasGuardedBody(request) || (await isAdmitted(context, request));
    // The operation refuses whoever is not admitted, before it looks at an input.
    const reading = isRead && readInput(request, response, route, segments, query, context.bodyOptions);
    const input = reading instanceof Promise ? await reading : reading || undefined;
    const running = call;
    response.once("close", () => {
      if (response.writableFinished) return running.delivered();
      running.abort();
      running.undelivered();
    });
    context.calls.add(call);
    isDispatched = true;
    sendOutput(context, request, response, call, await context.dispatcher.unary(operation, input, call));
  } catch (thrown) {
    call?.undelivered();
    // The dispatcher throws AppErrors only, so anything else is a fault of this transport.
    if (!(thrown instanceof AppError)) {
      context.logger.error({ err: thrown, operation: operation.name }, "an answer could not be written");
    }
    if (isDispatched) sendProblem(context, request, response, thrown, call);
    else sendRefusal(context, request, response, thrown, call);
  } finally {
    if (call) context.calls.delete(call);
  }
}
