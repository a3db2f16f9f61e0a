import type { ErrorCode } from "../../core/errors.ts";

/** The HTTP status of each error code. A forgotten code is a type error here. */
export const STATUS_BY_CODE: Readonly<Record<ErrorCode, number>> = {
  CANCELLED: 499,
  INVALID_ARGUMENT: 400,
  DEADLINE_EXCEEDED: 504,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 429,
  FAILED_PRECONDITION: 400,
  ABORTED: 409,
  UNIMPLEMENTED: 501,
  INTERNAL: 500,
  UNAVAILABLE: 503,
  UNAUTHENTICATED: 401,
};

/** The `title` of a problem: the same words for every occurrence of a code (RFC 9457 section 3.1.3). */
export const TITLE_BY_CODE: Readonly<Record<ErrorCode, string>> = {
  CANCELLED: "The request was cancelled",
  INVALID_ARGUMENT: "The request is not valid",
  DEADLINE_EXCEEDED: "The deadline passed",
  NOT_FOUND: "Not found",
  ALREADY_EXISTS: "It exists already",
  PERMISSION_DENIED: "Not permitted",
  RESOURCE_EXHAUSTED: "A limit was reached",
  FAILED_PRECONDITION: "Not possible in the present state",
  ABORTED: "Somebody else was first",
  UNIMPLEMENTED: "Not offered",
  INTERNAL: "Internal error",
  UNAVAILABLE: "Not available just now",
  UNAUTHENTICATED: "Not authenticated",
};
