import type { Call } from "../core/call.ts";
import { AppError, toAppError } from "../core/errors.ts";

/** What a call ends with. A handler that was told to stop may throw anything about it; the reason is what counts. */
export function callError(thrown: unknown, call: Call): AppError {
  return call.abortReason !== undefined && !(thrown instanceof AppError) ? call.abortReason : toAppError(thrown);
}
