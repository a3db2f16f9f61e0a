import type { handleServerStreamingCall } from "@grpc/grpc-js";
import { AppError } from "../../core/errors.ts";
import type { ServerStreamOperation } from "../../core/operation.ts";
import { type AnswerStream, openAnswerStream } from "./answer-stream.ts";
import type { CallContext } from "./call-context.ts";
import type { Method } from "./method.ts";

// biome-ignore lint/suspicious/noExplicitAny: transports do not know the services behind an operation.
export type ServerStreamMethod = Method<ServerStreamOperation<any>>;

/** Answers a call with one request and many answers over time. */
export function createServerStreamHandler(
  method: ServerStreamMethod,
  context: CallContext,
): handleServerStreamingCall<unknown, Buffer> {
  return (stream) => {
    const answers = openAnswerStream(stream, method.definition.path, context);
    if (stream.request instanceof AppError) {
      context.onRefused(stream.request.code);
      answers.fail(stream.request);
      return;
    }
    void sendAll(answers, method, () =>
      context.dispatcher.serverStream(method.operation, stream.request, answers.call),
    );
  };
}

/** Sends everything that `run` yields, as fast as the client reads it. Never rejects. */
export async function sendAll(
  answers: AnswerStream,
  method: Pick<Method, "encode">,
  run: () => AsyncIterable<unknown>,
): Promise<void> {
  try {
    for await (const answer of run()) {
      const full = answers.write(method.encode(answer));
      if (full) await full;
    }
    answers.end();
  } catch (error) {
    answers.fail(error);
  }
}
