import { constants, type Http2Session, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { StatusObject } from "@grpc/grpc-js";
import { Call, type IncomingCall } from "../../core/call.ts";
import { AppError, invalidArgument, toAppError } from "../../core/errors.ts";
import type { AnyOperation } from "../../core/operation.ts";
import type { Admit } from "../admit.ts";
import { isIdempotencyKey } from "../http/request-facts.ts";
import { type CallContext, errorStatus } from "./call-context.ts";
import type { OnStream } from "./grpc-js-internals.ts";

export interface StreamGuardOptions {
  /** What a path calls; whatever is at no path of these asks for no credential. */
  readonly operations: ReadonlyMap<string, AnyOperation>;
  readonly admit: Admit;
  readonly context: CallContext;
  /** How many calls that ask for no credential a connection may have at a time. */
  readonly maxOpenCalls: number;
}

/** The longest that a timer of Node can wait; grpc-js ends calls with a later deadline at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const MS_BY_UNIT: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Refuses calls by their headers alone, so that nothing of a stranger's body is taken in. Until a call
 * goes on from here, HTTP/2 lets its client send no more than one window.
 */
export function createStreamGuard({ operations, admit, context, maxOpenCalls }: StreamGuardOptions): OnStream {
  const openCalls = new WeakMap<Http2Session, number>();

  /** Whether there is room for another call that asks for no credential. It is counted then. */
  function takeOpenCall(stream: ServerHttp2Stream): boolean {
    const { session } = stream;
    if (!session) return false;
    const calls = openCalls.get(session) ?? 0;
    if (calls >= maxOpenCalls) return false;
    openCalls.set(session, calls + 1);
    stream.once("close", () => openCalls.set(session, openCalls.get(session)! - 1));
    return true;
  }

  function refuse(stream: ServerHttp2Stream, path: string, error: AppError, call: Call): void {
    if (!stream.destroyed && !stream.closed) respond(stream, errorStatus(error, call, path, context));
  }

  return (stream, headers, proceed) => {
    const path = headers[":path"] ?? "";
    const operation = operations.get(path);
    const refuseNow = (error: AppError) => {
      ignoreErrors(stream);
      context.onRefused(error.code);
      refuse(stream, path, error, new Call(incomingCall(stream, headers)));
    };
    const problem = checkHeaders(headers);
    if (problem) return refuseNow(problem);
    if (!operation) return takeOpenCall(stream) ? proceed() : refuseNow(tooManyOpenCalls(maxOpenCalls));

    const refuseUnadmitted = async (thrown: unknown) => {
      const call = new Call(incomingCall(stream, headers));
      refuse(stream, path, await refusalOf(operation, toAppError(thrown), call, context), call);
    };
    let admission: Promise<unknown> | undefined;
    try {
      admission = admit(headers.authorization);
    } catch (thrown) {
      ignoreErrors(stream);
      return void refuseUnadmitted(thrown);
    }
    if (!admission) return proceed();
    ignoreErrors(stream);
    admission.then(() => {
      if (!stream.destroyed && !stream.closed) proceed();
    }, refuseUnadmitted);
  };
}

/** A stream that its client breaks off says so, which concerns nobody before grpc-js has it. */
function ignoreErrors(stream: ServerHttp2Stream): void {
  stream.once("error", () => {});
}

/**
 * The operation is asked with no input, to have a call that was not admitted traced, counted and logged
 * as any other: it is refused there as it was here, or, should the credential have come to count
 * meanwhile, for want of an input.
 */
async function refusalOf(
  operation: AnyOperation,
  error: AppError,
  call: Call,
  { dispatcher }: CallContext,
): Promise<AppError> {
  if (error.code !== "UNAUTHENTICATED") return error;
  try {
    if (operation.kind === "unary") await dispatcher.unary(operation, undefined, call);
    else if (operation.kind === "serverStream") await first(dispatcher.serverStream(operation, undefined, call));
    else await first(dispatcher.bidi(operation, nothing(), call));
  } catch (thrown) {
    return toAppError(thrown);
  }
  return error;
}

async function* nothing(): AsyncGenerator<undefined> {
  yield undefined;
}

async function first(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of answers) return;
}

/** What is wrong with headers that grpc-js would drop, or read as something else than they say. */
function checkHeaders(headers: IncomingHttpHeaders): AppError | undefined {
  const key = headers["idempotency-key"];
  if (key !== undefined && !isIdempotencyKey(key)) {
    return refusedField("idempotency-key", "must be one text of 1 to 255 printable ASCII characters");
  }
  const timeout = headers["grpc-timeout"];
  if (timeout === undefined) return undefined;
  const [, digits, unit] = (typeof timeout === "string" && TIMEOUT.exec(timeout)) || [];
  if (!digits || !unit) return refusedField("grpc-timeout", "must be 1 to 8 digits and one of H, M, S, m, u and n");
  if (Number(digits) * MS_BY_UNIT[unit]! > MAX_TIMEOUT_MS) {
    headers["grpc-timeout"] = `${Math.floor(MAX_TIMEOUT_MS / 1_000)}S`;
  }
  return undefined;
}

function refusedField(field: string, message: string): AppError {
  return invalidArgument([{ field, message }]);
}

function incomingCall(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): IncomingCall {
  const { remoteAddress, remotePort } = stream.session?.socket ?? {};
  const text = (name: string) => {
    const value = headers[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    protocol: "grpc",
    authorization: headers.authorization,
    traceparent: text("traceparent"),
    tracestate: text("tracestate"),
    requestId: text("x-request-id"),
    peer: `${remoteAddress}:${remotePort}`,
  };
}

/** Answers with a status alone, before any body, and ends the stream whether its client has or not. */
function respond(stream: ServerHttp2Stream, { code, details, metadata }: StatusObject): void {
  const headers = {
    ":status": 200,
    "content-type": "application/grpc+proto",
    "grpc-status": code,
    "grpc-message": encodeURI(details),
    ...metadata.toHttp2Headers(),
  };
  stream.respond(headers, { endStream: true });
  stream.close(constants.NGHTTP2_NO_ERROR);
}

function tooManyOpenCalls(maxOpenCalls: number): AppError {
  return new AppError(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_STREAMS",
    `This connection has ${maxOpenCalls} calls of health and reflection under way, which is the limit. End one first.`,
  );
}
