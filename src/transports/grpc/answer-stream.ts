import type { ServerDuplexStream, ServerWritableStream } from "@grpc/grpc-js";
import { Call } from "../../core/call.ts";
import { AppError } from "../../core/errors.ts";
import type { ActiveCall } from "./active-calls.ts";
import { type CallContext, cancellation, errorStatus } from "./call-context.ts";
import { resetUnreadStream } from "./grpc-js-internals.ts";
import { GrpcIncomingCall } from "./incoming-call.ts";
import { responseMetadata } from "./response-metadata.ts";

/** Some clients wait for the headers before they hand a stream to their caller, so a quiet stream sends them alone. */
const HEADERS_WITHIN_MS = 100;

type GrpcStream = ServerWritableStream<unknown, Buffer> | ServerDuplexStream<unknown, Buffer>;

/** The way of the answers of one streaming call, the same for server streams and for bidi. */
export interface AnswerStream {
  readonly call: Call;
  /** Sends one message. Resolves when there is room for the next; rejects when the call is over. */
  write(bytes: Buffer): Promise<void> | undefined;
  end(): void;
  fail(thrown: unknown): void;
}

export function openAnswerStream(stream: GrpcStream, path: string, context: CallContext): AnswerStream {
  const { activeCalls, streamLimits, logger } = context;
  const call = new Call(new GrpcIncomingCall(stream));
  let settled = false;
  let bufferedBytes = 0;
  let wake: (() => void) | undefined;
  let headersSent = false;
  const headersTimer = setTimeout(sendHeaders, HEADERS_WITHIN_MS);

  const active: ActiveCall = {
    kind: "stream",
    fail(error) {
      fail(error);
      call.abort(error);
    },
  };

  function sendHeaders(): void {
    if (headersSent) return;
    headersSent = true;
    clearTimeout(headersTimer);
    stream.sendMetadata(responseMetadata(call));
  }

  function settle(): boolean {
    if (settled) return false;
    settled = true;
    clearTimeout(headersTimer);
    activeCalls.delete(active);
    return true;
  }

  function fail(thrown: unknown): void {
    if (settle()) stream.emit("error", errorStatus(thrown, call, path, context));
  }

  function whenWritten(bytes: number): void {
    bufferedBytes -= bytes;
    if (bufferedBytes < streamLimits.maxBufferedBytes) wake?.();
  }

  function endSlowConsumer(): void {
    if (!settle()) return;
    const { slowConsumerMs } = streamLimits;
    logger.warn({ path, requestId: call.requestId, slowConsumerMs }, "A gRPC client did not read its stream.");
    resetUnreadStream(stream);
    call.abort(
      new AppError(
        "RESOURCE_EXHAUSTED",
        "SLOW_CONSUMER",
        `The client read nothing for ${slowConsumerMs} ms while answers waited. Read faster, and resume from the last cursor.`,
      ),
    );
  }

  async function untilRoom(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(endSlowConsumer, streamLimits.slowConsumerMs);
    wake = resolve;
    await promise;
    wake = undefined;
    clearTimeout(timer);
    if (call.abortReason) throw call.abortReason;
  }

  activeCalls.add(active);
  call.onAbort(() => wake?.());
  // grpc-js says this after every call, also after one that was answered.
  stream.on("cancelled", () => {
    if (settle()) call.abort(cancellation(stream));
  });

  return {
    call,
    write(bytes) {
      if (settled) return Promise.reject(call.abortReason ?? cancellation(stream));
      sendHeaders();
      bufferedBytes += bytes.length;
      const hasRoom = stream.write(bytes, () => whenWritten(bytes.length));
      return hasRoom && bufferedBytes < streamLimits.maxBufferedBytes ? undefined : untilRoom();
    },
    end() {
      if (!settle()) return;
      sendHeaders();
      stream.end();
    },
    fail,
  };
}
