import { AppError } from "../../core/errors.ts";

export function credentialsMissing(): AppError {
  return new AppError(
    "UNAUTHENTICATED",
    "CREDENTIALS_MISSING",
    "Say who you are: send your API key or token as `Authorization: Bearer …`.",
  );
}

/** One text for whatever is wrong with a credential, so that nothing can be learned by trying. */
export function credentialsInvalid(cause?: unknown): AppError {
  return new AppError(
    "UNAUTHENTICATED",
    "CREDENTIALS_INVALID",
    "This credential opens nothing here: it is unknown, damaged, revoked or made for something else. Check it or ask for a new one.",
    cause === undefined ? {} : { cause },
  );
}

export function credentialsExpired(): AppError {
  return new AppError(
    "UNAUTHENTICATED",
    "CREDENTIALS_EXPIRED",
    "This credential was right and has expired. Get a new token, or have the key rotated with a later expiresAt.",
  );
}
