import { AppError, type ErrorCode, type ErrorDetails } from "../../core/errors.ts";

/** A refusal that HTTP has its own status for, e.g. 405 or 413; nothing beyond the HTTP transports sees one. */
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

export function bodyTooLarge(maxBodyBytes: number): HttpError {
  return new HttpError(
    413,
    "RESOURCE_EXHAUSTED",
    "BODY_TOO_LARGE",
    `The request body is larger than ${maxBodyBytes} bytes. Send less at once, e.g. smaller batches.`,
    { headers: { Connection: "close" } },
  );
}

/** 400 for a parameter or header that cannot be understood. */
export function badParameter(field: string, message: string): HttpError {
  return new HttpError(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", `${field}: ${message}`, {
    details: { fields: [{ field, message }] },
  });
}
