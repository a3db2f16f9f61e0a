/** The gRPC canonical codes that an operation may answer with; OK is not an error. */
export const ERROR_CODES = [
  "CANCELLED",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "UNAUTHENTICATED",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** One field of the input that was refused. `field` is a path such as `tasks[3].runAt`. */
export interface FieldViolation {
  readonly field: string;
  readonly message: string;
}

/** The limit that was hit. `subject` names what is limited, e.g. `namespaces/default`. */
export interface QuotaViolation {
  readonly subject: string;
  readonly description: string;
}

export interface ErrorDetails {
  readonly fields?: readonly FieldViolation[];
  readonly quota?: QuotaViolation;
  /** Anything else a program may want to read, as flat text. */
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface AppErrorOptions {
  readonly details?: ErrorDetails;
  /** When to try again, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** What went wrong underneath. It is logged and never leaves the process. */
  readonly cause?: unknown;
}

/**
 * The one error that crosses layers. `code` decides the status on each protocol, `reason` is a
 * stable UPPER_SNAKE word for programs, `message` tells a person what was wrong and how to mend it.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly details: ErrorDetails;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, reason: string, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.reason = reason;
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** INVALID_ARGUMENT that names every refused field. */
export function invalidArgument(fields: readonly FieldViolation[]): AppError {
  const summary = fields.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join("; ");
  return new AppError("INVALID_ARGUMENT", "INVALID_ARGUMENT", summary, { details: { fields } });
}

/** NOT_FOUND, also for what the caller may not know of. `resource` is singular, e.g. `task`. */
export function notFound(resource: string, id: string): AppError {
  return new AppError(
    "NOT_FOUND",
    `${resource.toUpperCase().replaceAll(" ", "_")}_NOT_FOUND`,
    `There is no ${resource} "${id}" that you can see. Check its name, its namespace and your key.`,
    { details: { metadata: { resource, id } } },
  );
}

/** RESOURCE_EXHAUSTED: a quota of a namespace, e.g. `maxStorageMb`, would be passed. */
export function quotaExceeded(namespace: string, quota: string, message: string): AppError {
  return new AppError("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", message, {
    details: { quota: { subject: `namespaces/${namespace}`, description: quota }, metadata: { quota } },
  });
}

/**
 * Turns whatever was thrown into an AppError. What is not ours is a bug: its text stays inside as
 * the cause, because it may hold SQL, paths or secrets.
 */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  return new AppError(
    "INTERNAL",
    "INTERNAL",
    "Something went wrong inside the gateway. Its log holds the details under this request's id.",
    {
      cause: thrown,
    },
  );
}
