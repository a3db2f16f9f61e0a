import { AppError } from "../../core/errors.ts";
import { NoSlotError } from "./slots.ts";

/** How long a client should wait before it tries a database that does not answer. */
const RETRY_AFTER_MS = 1000;

/** The reason that callers, and the idempotency records, tell it by. */
export const OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN";

const DEADLOCK_DETECTED = "40P01";
const SERIALIZATION_FAILURE = "40001";
const QUERY_CANCELED = "57014";
const LOCK_NOT_AVAILABLE = "55P03";
/** A standby, a primary that became one, or a server that its administrator has set so. */
const READ_ONLY = "25006";

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

/** The connection was lost while a change was under way: it may be there or not. Its cause is how it was lost. */
export class LostAnswerError extends Error {}

/** Whether a change was sent to the database and nobody knows whether it took effect. */
export function isOutcomeUnknown(error: unknown): boolean {
  return error instanceof AppError && error.reason === OUTCOME_UNKNOWN;
}

/** Whether the connection the error came from is of no further use. A new one may lead to a server that is well. */
export function isConnectionError(error: unknown): boolean {
  if (error instanceof LostAnswerError) return true;
  const code = errorCode(error);
  if (code === READ_ONLY) return true;
  if (code !== undefined && (UNAVAILABLE_SQLSTATE.test(code) || UNAVAILABLE_ERRNO.test(code))) return true;
  return error instanceof Error && UNAVAILABLE_MESSAGE.test(error.message);
}

/**
 * Says in the gateway's words that the database is away or too slow. Everything else (a unique
 * violation, a syntax error) passes as it is, because only the store that wrote the statement knows what it means.
 */
export function mapDatabaseError(error: unknown): unknown {
  forgetValues(error);
  if (error instanceof LostAnswerError) return outcomeUnknown(error);
  if (errorCode(error) === READ_ONLY) {
    const message =
      "The database takes no changes at the moment, as while another server takes over. Try again shortly.";
    return unavailable("DATABASE_READ_ONLY", message, error);
  }
  if (isConnectionError(error)) return databaseUnavailable(error);
  if (isBusy(error)) {
    const message = "The database is too busy to answer this in time. Try again shortly.";
    return unavailable("DATABASE_BUSY", message, error);
  }
  return error;
}

/** The database does not answer, and what was asked of it has not been done. */
export function databaseUnavailable(cause: unknown): AppError {
  const message = "The database does not answer at the moment. Try again shortly; what was acknowledged is safe.";
  return unavailable("DATABASE_UNAVAILABLE", message, cause);
}

function unavailable(reason: string, message: string, cause: unknown): AppError {
  return new AppError("UNAVAILABLE", reason, message, { retryAfterMs: RETRY_AFTER_MS, cause });
}

/** Without a time to try again: another attempt might do it twice. */
function outcomeUnknown(cause: LostAnswerError): AppError {
  const message =
    "The connection to the database was lost before it answered, so the change may have been made or not. Look before you ask for it again.";
  return new AppError("UNAVAILABLE", OUTCOME_UNKNOWN, message, { cause });
}

function isBusy(error: unknown): boolean {
  const code = errorCode(error);
  return code === QUERY_CANCELED || code === LOCK_NOT_AVAILABLE || isTransient(error) || error instanceof NoSlotError;
}

/** What Postgres and its drivers add to an error that may hold values: tenants' payloads must not reach a log. */
const VALUE_CARRIERS = ["params", "detail", "where"] as const;

function forgetValues(error: unknown): void {
  if (typeof error !== "object" || error === null) return;
  for (const name of VALUE_CARRIERS) if (name in error) delete (error as Record<string, unknown>)[name];
}
