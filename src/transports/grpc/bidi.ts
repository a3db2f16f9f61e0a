import type { handleBidiStreamingCall } from "@grpc/grpc-js";
import { AppError } from "../../core/errors.ts";
import type { BidiOperation } from "../../core/operation.ts";
import { openAnswerStream } from "./answer-stream.ts";
import type { CallContext } from "./call-context.ts";
import { http2Stream } from "./grpc-js-internals.ts";
import { createInputQueue } from "./input-queue.ts";
import type { Method } from "./method.ts";
import { sendAll } from "./server-stream.ts";

// biome-ignore lint/suspicious/noExplicitAny: transports do not know the services behind an operation.
export type BidiMethod = Method<BidiOperation<any>>;

/** Answers a call in which both sides send many messages. */
export function createBidiHandler(method: BidiMethod, context: CallContext): handleBidiStreamingCall<unknown, Buffer> {
  return (stream) => {
    const answers = openAnswerStream(stream, method.definition.path, context);
    let isFirst = true;
    const inputs = createInputQueue(stream, (message) => {
      context.bodies.taken(http2Stream(stream));
      // What comes later belongs to a call that is observed, and counted with its end.
      if (isFirst && message instanceof AppError) context.onRefused(message.code);
      isFirst = false;
    });
    answers.call.onAbort(inputs.fail);
    void sendAll(answers, method, () => context.dispatcher.bidi(method.operation, inputs, answers.call));
  };
}
