import type { StatusObject } from "@grpc/grpc-js";
import type { Call } from "../../core/call.ts";
import { AppError } from "../../core/errors.ts";
import type { Dispatcher } from "../../core/exchange.ts";
import type { Logger } from "../../core/logger.ts";
import type { OnRefused } from "../on-refused.ts";
import type { ActiveCalls } from "./active-calls.ts";
import type { BodyMeter } from "./body-meter.ts";
import type { ErrorDetailsEncoder } from "./error-details.ts";
import type { GrpcCall } from "./grpc-call.ts";
import { responseMetadata } from "./response-metadata.ts";
import { statusMessage, toGrpcStatus } from "./status.ts";

/** What the handlers of all call kinds share. */
export interface CallContext {
  readonly dispatcher: Dispatcher;
  readonly activeCalls: ActiveCalls;
  readonly encodeDetails: ErrorDetailsEncoder;
  readonly logger: Logger;
  readonly onRefused: OnRefused;
  readonly streamLimits: StreamLimits;
  readonly bodies: BodyMeter;
}

export interface StreamLimits {
  /** How many bytes of answers may wait for a client that reads slowly; then the operation waits too. */
  readonly maxBufferedBytes: number;
  /** How long a client may read nothing while answers wait; then its stream is reset. */
  readonly slowConsumerMs: number;
}

/** The status of a call that failed. Whatever is not an AppError becomes the fixed INTERNAL text, and is logged. */
export function errorStatus(thrown: unknown, call: Call, path: string, context: CallContext): StatusObject {
  const { error, code } = toGrpcStatus(thrown);
  if (error !== thrown) {
    context.logger.error({ err: thrown, path, requestId: call.requestId }, "A gRPC call failed with an unknown error.");
  }
  const metadata = responseMetadata(call);
  metadata.set("grpc-status-details-bin", context.encodeDetails(error));
  return { code, details: statusMessage(error.message), metadata };
}

/** Why a call that grpc-js reports as cancelled ended. */
export function cancellation(grpcCall: GrpcCall): AppError {
  if (Number(grpcCall.getDeadline()) <= Date.now()) return deadlineExceeded();
  return new AppError("CANCELLED", "CLIENT_CLOSED", "The client cancelled the call before it was answered.");
}

export function deadlineExceeded(): AppError {
  return new AppError(
    "DEADLINE_EXCEEDED",
    "DEADLINE_EXCEEDED",
    "The deadline that the client set passed before the call was answered. Set a later one, or ask for less.",
  );
}
