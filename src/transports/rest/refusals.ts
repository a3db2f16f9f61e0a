import { HttpError } from "../http/http-error.ts";

export function methodNotAllowed(method: string, allow: string): HttpError {
  return new HttpError(
    405,
    "UNIMPLEMENTED",
    "METHOD_NOT_ALLOWED",
    `${method} is not offered on this path, only ${allow}. Where a colon is part of an id, write it as %3A.`,
    { headers: { Allow: allow } },
  );
}

export function unsupportedMediaType(message: string): HttpError {
  return new HttpError(415, "INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE", message, {
    headers: { Accept: "application/json" },
  });
}

export function notAcceptable(offered: readonly string[]): HttpError {
  return new HttpError(
    406,
    "INVALID_ARGUMENT",
    "NOT_ACCEPTABLE",
    `This path answers with ${offered.join(" or ")}. Ask for that in the Accept header, or leave the header out.`,
  );
}

export function noSuchPath(path: string): HttpError {
  return new HttpError(
    404,
    "NOT_FOUND",
    "PATH_NOT_FOUND",
    `There is nothing at ${path.slice(0, 200)}. The page at /docs lists every path.`,
  );
}

export function urlTooLong(maxUrlBytes: number): HttpError {
  return new HttpError(
    414,
    "INVALID_ARGUMENT",
    "URL_TOO_LONG",
    `The path and query are longer than ${maxUrlBytes} bytes. Use fewer or shorter parameters.`,
  );
}
