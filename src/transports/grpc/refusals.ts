import { Metadata, type Server, type StatusObject, status } from "@grpc/grpc-js";
import { AppError } from "../../core/errors.ts";
import type { OnRefused } from "../on-refused.ts";
import { deadlineExceeded } from "./call-context.ts";
import type { ErrorDetailsEncoder } from "./error-details.ts";
import { type OwnStatus, onUnknownMethod } from "./grpc-js-internals.ts";
import { GRPC_STATUS } from "./status.ts";

const DETAILS_KEY = "grpc-status-details-bin";

/** How grpc-js begins what it says of a message that it does not take, whole or unpacked. */
const RECEIVED = "Received message";

/** Its limit ends what it says. */
const LIMIT = /(\d+)\)?$/;

export interface RefusalOptions {
  readonly encodeDetails: ErrorDetailsEncoder;
  readonly onRefused: OnRefused;
}

/** What grpc-js says by itself, in our words and with our details; undefined where it has none of ours. */
export function createOwnStatus({ encodeDetails, onRefused }: RefusalOptions): OwnStatus {
  return ({ code, details, metadata }) => {
    if (code === status.OK || metadata?.get(DETAILS_KEY).length) return undefined;
    if (code === status.DEADLINE_EXCEEDED) return statusOf(deadlineExceeded(), encodeDetails);
    if (code !== status.RESOURCE_EXHAUSTED || !details.startsWith(RECEIVED)) return undefined;
    onRefused("RESOURCE_EXHAUSTED");
    return statusOf(messageTooLarge(Number(LIMIT.exec(details)?.[1])), encodeDetails);
  };
}

/** Answers calls of methods that no service has; grpc-js would do so without a reason. */
export function refuseUnknownMethods(server: Server, { encodeDetails, onRefused }: RefusalOptions): void {
  onUnknownMethod(server, (path) => {
    onRefused("UNIMPLEMENTED");
    return statusOf(methodNotFound(path), encodeDetails);
  });
}

/** The status of what is refused before a handler has seen it. */
export function statusOf(error: AppError, encodeDetails: ErrorDetailsEncoder): StatusObject {
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, encodeDetails(error));
  return { code: GRPC_STATUS[error.code], details: error.message, metadata };
}

function messageTooLarge(maxBytes: number): AppError {
  return new AppError(
    "RESOURCE_EXHAUSTED",
    "BODY_TOO_LARGE",
    `The request message is larger than ${maxBytes} bytes. Send less at once, e.g. smaller batches.`,
  );
}

function methodNotFound(path: string): AppError {
  return new AppError(
    "UNIMPLEMENTED",
    "METHOD_NOT_FOUND",
    `There is no method ${path.slice(0, 200)}. Reflection and the gateway's protos list every method.`,
  );
}
