import { type AppError, type ErrorCode, toAppError } from "../../core/errors.ts";

/** The canonical code of each error on the wire. */
export const GRPC_STATUS: Record<ErrorCode, number> = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
};

/** Clients refuse trailers past 8 KiB, so the text and the details together stay below that. */
const MAX_MESSAGE_BYTES = 2048;

/** The error as one that may be shown, with the number gRPC gives its code. */
export function toGrpcStatus(thrown: unknown): { readonly error: AppError; readonly code: number } {
  const error = toAppError(thrown);
  return { error, code: GRPC_STATUS[error.code] };
}

/** The message as it may stand in `grpc-message`: percent-encoding it cannot fail, and it stays short. */
export function statusMessage(message: string): string {
  const text = message.toWellFormed();
  if (text.length * 9 <= MAX_MESSAGE_BYTES) return text;
  let bytes = 0;
  let end = 0;
  for (const character of text) {
    bytes += encodeURI(character).length;
    if (bytes > MAX_MESSAGE_BYTES) return `${text.slice(0, end)}…`;
    end += character.length;
  }
  return text;
}
