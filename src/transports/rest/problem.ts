import type { AppError, FieldViolation, QuotaViolation } from "../../core/errors.ts";
import { HttpError } from "../http/http-error.ts";
import { STATUS_BY_CODE } from "../http/status.ts";
import { TITLE_BY_CODE } from "./titles.ts";

export const PROBLEM_TYPE = "application/problem+json";

/** RFC 9457 problem details, with the fields every protocol carries in its own way. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  /** The path that was asked for, without its query. */
  readonly instance: string;
  readonly code: string;
  readonly reason: string;
  readonly errors?: readonly FieldViolation[];
  readonly quota?: QuotaViolation;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
  readonly requestId: string;
}

export function toProblem(error: AppError, path: string, requestId: string): Problem {
  const { fields, quota, metadata } = error.details;
  return {
    type: `urn:tarl:error:${error.reason}`,
    title: TITLE_BY_CODE[error.code],
    status: error instanceof HttpError ? error.status : STATUS_BY_CODE[error.code],
    detail: error.message,
    instance: path,
    code: error.code,
    reason: error.reason,
    ...(fields && { errors: fields }),
    ...(quota && { quota }),
    ...(metadata && { metadata }),
    ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
    requestId,
  };
}
