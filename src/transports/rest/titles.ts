import type { ErrorCode } from "../../core/errors.ts";

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
