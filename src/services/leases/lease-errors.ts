import { AppError } from "../../core/errors.ts";

/** Somebody else holds the lease for another `remainingMs`. */
export function leaseHeld(leaseName: string, holder: string, remainingMs: number): AppError {
  return new AppError(
    "ABORTED",
    "LEASE_HELD",
    `The lease "${leaseName}" is held by "${holder}". Try again when it ends, or wait for it with waitMs.`,
    { retryAfterMs: Math.max(1, Math.ceil(remainingMs)), details: { metadata: { leaseName, holder } } },
  );
}

/** The caller's fence is no longer the one that counts. */
export function leaseLost(leaseName: string, fence: number): AppError {
  return new AppError(
    "ABORTED",
    "LEASE_LOST",
    `The lease "${leaseName}" is no longer held with fence ${fence}: it ended or was acquired again. Stop the work it protects and acquire it anew.`,
    { details: { metadata: { leaseName, fence: String(fence) } } },
  );
}
