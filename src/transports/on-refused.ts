import type { ErrorCode } from "../core/errors.ts";

/** Told of each request that is refused before it reaches an operation, which the interceptors never see. */
export type OnRefused = (code: ErrorCode) => void;
