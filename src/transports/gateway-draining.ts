import { AppError } from "../core/errors.ts";

const RETRY_AFTER_MS = 1_000;

/** What a gateway that stops tells the calls that it can no longer serve, whatever their protocol. */
export function gatewayDraining(): AppError {
  return new AppError(
    "UNAVAILABLE",
    "GATEWAY_DRAINING",
    "The gateway is stopping. Send the request again, and resume streams from their last cursor: another gateway answers.",
    { retryAfterMs: RETRY_AFTER_MS },
  );
}

/** How long calls that are aborted at the deadline have to tell their clients so. */
export const DRAIN_FLUSH_MS = 100;
