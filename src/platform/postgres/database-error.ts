import { AppError } from "../../core/errors.ts";

/** How long a client should wait before it tries a database that does not answer. */
const RETRY_AFTER_MS = 1000;

const DEADLOCK_DETECTED = "40P01";
const SERIALIZATION_FAILURE = "40001";
const QUERY_CANCELED = "57014";

/** SQLSTATE classes and codes that say the server, not the statement, is the problem. */
const UNAVAILABLE_SQLSTATE = /^(08...|57P0[123]|53...)$/;
/** Errors of the socket and of Node itself. */
const UNAVAILABLE_ERRNO =
  /^(ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT)$/;
/** What node-postgres says without giving a code. */
const UNAVAILABLE_MESSAGE =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client has encountered a connection error|Client was closed|Cannot use a pool after calling end)/;

/** The SQLSTATE of an error Postgres answered with, or the errno of a socket's. */
export function errorCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Whether Postgres gave up on what may well succeed when it is run again. */
export function isTransient(error: unknown): boolean {
  const code = errorCode(error);
  return code === DEADLOCK_DETECTED || code === SERIALIZATION_FAILURE;
}

/** Whether the connection the error came from is of no further use. */
export function isConnectionError(error: unknown): boolean {
  const code = errorCode(error);
  if (code !== undefined && (UNAVAILABLE_SQLSTATE.test(code) || UNAVAILABLE_ERRNO.test(code))) return true;
  return error instanceof Error && UNAVAILABLE_MESSAGE.test(error.message);
}

/**
 * Says in the gateway's words that the database is away or too slow. Everything else (a unique
 * violation, a syntax error) passes as it is, because only the store that wrote the statement knows what it means.
 */
export function mapDatabaseError(error: unknown): unknown {
  forgetValues(error);
  if (isConnectionError(error)) {
    return new AppError(
      "UNAVAILABLE",
      "DATABASE_UNAVAILABLE",
      "The database does not answer at the moment. Try again shortly; what was acknowledged is safe.",
      { retryAfterMs: RETRY_AFTER_MS, cause: error },
    );
  }
  if (errorCode(error) === QUERY_CANCELED || isTransient(error)) {
    return new AppError(
      "UNAVAILABLE",
      "DATABASE_BUSY",
      "The database is too busy to answer this in time. Try again shortly.",
      { retryAfterMs: RETRY_AFTER_MS, cause: error },
    );
  }
  return error;
}

/** What Postgres and its drivers add to an error that may hold values: tenants' payloads must not reach a log. */
const VALUE_CARRIERS = ["params", "detail", "where"] as const;

function forgetValues(error: unknown): void {
  if (typeof error !== "object" || error === null) return;
  for (const name of VALUE_CARRIERS) if (name in error) delete (error as Record<string, unknown>)[name];
}
