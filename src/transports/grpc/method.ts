import type { MethodDefinition } from "@grpc/grpc-js";
import type { MethodDefinition as LoadedMethod, PackageDefinition, ServiceDefinition } from "@grpc/proto-loader";
import type { GrpcCodec, MessageCodec, PlainObject } from "../../contract/grpc-codec.ts";
import type { MessageEncoders } from "../../contract/message-encoder.ts";
import { AppError } from "../../core/errors.ts";
import type { AnyOperation, OperationKind } from "../../core/operation.ts";

/** One operation as gRPC offers it. */
export interface Method<Operation extends AnyOperation = AnyOperation> {
  readonly operation: Operation;
  /** For grpc-js: requests come out as plain inputs or as the AppError that says why not; answers go in as bytes. */
  readonly definition: MethodDefinition<unknown, Buffer>;
  /** An answer as the bytes of its message. */
  encode(output: unknown): Buffer;
}

const PACKAGE = "tarl.v1";

/** The full name of the service that offers the operation, e.g. `tarl.v1.TaskService`. */
export function serviceName(operation: AnyOperation): string {
  return `${PACKAGE}.${operation.grpc.split("/")[0]}`;
}

/** The path that calls the operation, e.g. `/tarl.v1.TaskService/LeaseTasks`. */
export function methodPath(operation: AnyOperation): string {
  return `/${PACKAGE}.${operation.grpc}`;
}

/** Finds the operation's method in the loaded protos. What is not there was not emitted: that is refused at start. */
export function createMethod<Operation extends AnyOperation>(
  operation: Operation,
  loaded: PackageDefinition,
  codec: GrpcCodec,
  encoderOf: MessageEncoders,
  maxSendBytes: number,
): Method<Operation> {
  const name = operation.grpc.split("/")[1] ?? "";
  const service = loaded[serviceName(operation)] as ServiceDefinition | undefined;
  const method = service?.[name];
  if (!method || kindOf(method) !== operation.kind) {
    throw new Error(
      `The protos hold no ${operation.kind} method ${PACKAGE}.${operation.grpc}. Run "npm run contract" and commit what it writes.`,
    );
  }
  const input = codec.input(operation);
  const output = codec.output(operation);
  const encodeMessage = encoderOf(method.responseType);

  return {
    operation,
    definition: {
      path: method.path,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      requestSerialize: unused,
      requestDeserialize: (bytes) => decode(method, input, bytes),
      // Encoded before grpc-js sees it: it would answer a failure with a text of its own.
      responseSerialize: (bytes) => bytes,
      responseDeserialize: unused,
    },
    encode(plain) {
      const bytes = encodeMessage(output.toMessage(plain as PlainObject));
      if (bytes.length > maxSendBytes) throw answerTooLarge(bytes.length, maxSendBytes);
      return bytes;
    },
  };
}

function decode(method: LoadedMethod<object, object>, input: MessageCodec, bytes: Buffer): unknown {
  let message: object;
  try {
    message = method.requestDeserialize(bytes);
  } catch (cause) {
    return new AppError(
      "INVALID_ARGUMENT",
      "MALFORMED_MESSAGE",
      `The request is not a valid protobuf message for ${method.path}. Build it from the gateway's own protos.`,
      { cause },
    );
  }
  try {
    return input.fromMessage(message as PlainObject);
  } catch (error) {
    if (error instanceof AppError) return error;
    return new AppError(
      "INVALID_ARGUMENT",
      "MALFORMED_MESSAGE",
      `The request to ${method.path} holds a value that has no meaning as JSON.`,
      { cause: error },
    );
  }
}

function kindOf({ requestStream, responseStream }: LoadedMethod<object, object>): OperationKind | "clientStream" {
  if (requestStream) return responseStream ? "bidi" : "clientStream";
  return responseStream ? "serverStream" : "unary";
}

function answerTooLarge(bytes: number, maxBytes: number): AppError {
  return new AppError(
    "RESOURCE_EXHAUSTED",
    "ANSWER_TOO_LARGE",
    `The answer would have ${bytes} bytes; the limit is ${maxBytes}. Ask for fewer items at a time.`,
  );
}

function unused(): never {
  throw new Error("Only clients use this half of a method.");
}
