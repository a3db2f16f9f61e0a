import { AppError } from "../core/errors.ts";

const RETRY_AFTER_MS = 1_000;

/** How many bytes of requests that have not arrived whole may be held at a time. */
export interface BodyBudget {
  /** Takes so many bytes out of it; false, and nothing is taken, where there are not so many left. */
  take(bytes: number): boolean;
  giveBack(bytes: number): void;
}

export function createBodyBudget(maxBytes: number): BodyBudget {
  let takenBytes = 0;
  return {
    take(bytes) {
      if (takenBytes + bytes > maxBytes) return false;
      takenBytes += bytes;
      return true;
    },
    giveBack(bytes) {
      takenBytes -= bytes;
    },
  };
}

/** What a request is told for whose body there is no room now. */
export function noRoomForBody(where: "gateway" | "connection"): AppError {
  return new AppError(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_BODY_BYTES",
    `The ${where} is taking in as many bytes of requests as it may at a time. Send it again in a moment, or send less at once.`,
    { retryAfterMs: RETRY_AFTER_MS },
  );
}
