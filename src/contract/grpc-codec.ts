import type { AnyOperation } from "../core/operation.ts";
import { buildModel } from "./build-model.ts";
import { compileFromMessage } from "./codec-from-message.ts";
import { compileToMessage } from "./codec-to-message.ts";
import type { ContractModel, Direction, MessageModel } from "./model.ts";

/** A plain JSON object, or what @grpc/proto-loader makes of a message. */
export type PlainObject = Record<string, unknown>;

export interface MessageCodec {
  /**
   * What proto-loader decoded → the plain value. It may change and keep the object it is given,
   * which proto-loader has just made for it.
   */
  fromMessage(message: PlainObject): PlainObject;
  /** A plain value → what proto-loader encodes. The value itself is never changed. */
  toMessage(plain: PlainObject): PlainObject;
}

/**
 * Converts between plain values and the messages of gRPC.
 *
 * | plain | message |
 * |---|---|
 * | RFC 3339 text | google.protobuf.Timestamp, to the microsecond |
 * | any JSON | google.protobuf.Value |
 * | `"HIGH"` | `TASK_PRIORITY_HIGH`; UNSPECIFIED is absent, an unknown number stays a number |
 * | base64 text | bytes |
 * | `{ type: "TASK_LEASED", task }` | `{ taskLeased: { task } }`, a oneof named after the discriminator |
 * | a required list or map | always there, empty where nothing was sent |
 * | another list or map | absent where it is empty |
 * | a required scalar | its zero where nothing was sent, as proto cannot tell the two apart |
 */
export interface GrpcCodec {
  input(operation: AnyOperation): MessageCodec;
  output(operation: AnyOperation): MessageCodec;
}

/** Compiles a converter for each message that `operations` send or receive, once. */
export function createGrpcCodec(operations: readonly AnyOperation[]): GrpcCodec {
  return createGrpcCodecOf(buildModel(operations));
}

/** The same, for a model that is there already. */
export function createGrpcCodecOf(model: ContractModel): GrpcCodec {
  const codecs = {
    input: compileDirection(model, "input"),
    output: compileDirection(model, "output"),
  };
  const byOperation = new Map(
    model.operations.map((operation) => [
      operation,
      { input: codecs.input(model.input(operation)), output: codecs.output(model.output(operation)) },
    ]),
  );
  const find = (operation: AnyOperation) => {
    const found = byOperation.get(operation);
    if (!found) throw new Error(`The operation ${operation.name} is not part of this codec.`);
    return found;
  };
  return {
    input: (operation) => find(operation).input,
    output: (operation) => find(operation).output,
  };
}

function compileDirection(model: ContractModel, direction: Direction): (message: MessageModel) => MessageCodec {
  const from = compileFromMessage(model, direction);
  const to = compileToMessage(model);
  return (message) => ({
    fromMessage: from(message.id) as MessageCodec["fromMessage"],
    toMessage: to(message.id) as MessageCodec["toMessage"],
  });
}
