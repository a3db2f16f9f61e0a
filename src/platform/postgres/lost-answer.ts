import { errorCode, isConnectionError, LostAnswerError } from "./database-error.ts";

/** A word of SQL that changes something. Taking a reading statement for a changing one costs only a vaguer error. */
const CHANGES = /\b(INSERT|UPDATE|DELETE|MERGE|TRUNCATE|COPY|CALL|DO|CREATE|ALTER|DROP|VACUUM|COMMIT)\b/i;

/** What node-postgres says of a statement that it has not sent. */
const NEVER_SENT = /^(Client has encountered a connection error|Client was closed)/;

/** Classes of errors by which a pooler between us and Postgres says that it lost Postgres, or Postgres that it crashed. */
const LOST_SQLSTATE = /^(08...|57P02)$/;

/**
 * `error` as it is, or a LostAnswerError where it leaves open whether one of `texts`, which were
 * sent to Postgres, took effect. An error that Postgres itself answered with means that it did not.
 */
export function tellLostAnswer(error: unknown, texts: readonly string[]): unknown {
  if (!isLost(error) || !texts.some((text) => CHANGES.test(text))) return error;
  return new LostAnswerError("The connection was lost before Postgres answered.", { cause: error });
}

function isLost(error: unknown): boolean {
  if (!(error instanceof Error) || !isConnectionError(error)) return false;
  // Only an error from Postgres has a severity.
  if ("severity" in error) return LOST_SQLSTATE.test(errorCode(error) ?? "");
  return !NEVER_SENT.test(error.message);
}
