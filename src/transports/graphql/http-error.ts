import { AppError, type ErrorCode, type ErrorDetails } from "../../core/errors.ts";

/** A request that is no GraphQL request at all; its status does not depend on the media type of the answer. */
export class HttpError extends AppError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: ErrorCode,
    reason: string,
    message: string,
    options: { readonly headers?: Readonly<Record<string, string>>; readonly details?: ErrorDetails } = {},
  ) {
    super(code, reason, message, options.details ? { details: options.details } : {});
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

/** 400 for a parameter or header that cannot be understood. */
export function badParameter(field: string, message: string): HttpError {
  return new HttpError(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", `${field}: ${message}`, {
    details: { fields: [{ field, message }] },
  });
}
