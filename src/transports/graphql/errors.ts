import { GraphQLError } from "graphql";
import { AppError, type ErrorCode, type FieldViolation, toAppError } from "../../core/errors.ts";
import { STATUS_BY_CODE } from "../http/status.ts";

const MAX_MESSAGE_CHARACTERS = 400;

/** What `extensions` of every error holds. */
export interface ErrorExtensions {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly details?: {
    readonly errors?: readonly FieldViolation[];
    readonly quota?: { readonly subject: string; readonly description: string };
    readonly metadata?: Readonly<Record<string, string>>;
  };
  readonly retryAfterMs?: number;
  readonly requestId?: string;
}

/** An error as it goes over the wire. */
export interface WireError {
  readonly message: string;
  readonly locations?: readonly { line: number; column: number }[];
  readonly path?: readonly (string | number)[];
  readonly extensions: ErrorExtensions;
}

/**
 * The GraphQL form of an error. It has no `originalError`, because what has a foreign one is taken
 * for a bug and masked.
 */
export function toGraphqlError(thrown: unknown, requestId?: string): GraphQLError {
  if (thrown instanceof GraphQLError) return thrown;
  const error = toAppError(thrown);
  return new GraphQLError(error.message, { extensions: { ...extensionsOf(error, requestId) } });
}

export function extensionsOf(error: AppError, requestId?: string): ErrorExtensions {
  const { fields, quota, metadata } = error.details;
  const details = {
    ...(fields && { errors: fields }),
    ...(quota && { quota }),
    ...(metadata && { metadata }),
  };
  return {
    code: error.code,
    reason: error.reason,
    ...(Object.keys(details).length > 0 && { details }),
    ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
    ...(requestId && { requestId }),
  };
}

/** Whether `error` was made by `toGraphqlError`, or was given our extensions some other way. */
export function hasOurCode(error: GraphQLError): boolean {
  const { code } = error.extensions;
  return typeof code === "string" && Object.hasOwn(STATUS_BY_CODE, code);
}

/** The code of what was refused over `errors`. */
export function codeOf([first]: readonly GraphQLError[]): ErrorCode {
  return first && hasOurCode(first) ? (first.extensions.code as ErrorCode) : "INTERNAL";
}

/** INVALID_ARGUMENT for a query that breaks a rule of GraphQL, as graphql-js found it. */
export function withReason(error: GraphQLError, reason: string, fields?: readonly FieldViolation[]): GraphQLError {
  if (hasOurCode(error)) return error;
  return relocated(error, shortened(error.message), {
    code: "INVALID_ARGUMENT",
    reason,
    ...(fields && { details: { errors: fields } }),
  });
}

/** graphql-js quotes the value it refuses, however long that is. */
export function shortened(message: string): string {
  return message.length <= MAX_MESSAGE_CHARACTERS
    ? message
    : `${message.slice(0, MAX_MESSAGE_CHARACTERS).toWellFormed()}…`;
}

/** Another error at the same place of the query and the answer. */
export function relocated(error: GraphQLError, message: string, extensions: ErrorExtensions): GraphQLError {
  return new GraphQLError(message, {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
    path: error.path ?? null,
    extensions: { ...extensions },
  });
}

/** What a client gets; every error has a code, a reason and the request's id. */
export function toWireError(error: GraphQLError, requestId: string): WireError {
  const { message, locations, path } = error;
  const extensions = (hasOurCode(error)
    ? error.extensions
    : extensionsOf(toAppError(error))) as unknown as ErrorExtensions;
  return {
    message: hasOurCode(error) ? message : toAppError(undefined).message,
    ...(locations && { locations }),
    ...(path && { path }),
    extensions: extensions.requestId ? extensions : { ...extensions, requestId },
  };
}

/** A query that asks for more than a limit allows. The figure and the limit are in the message and for programs. */
export function overLimit(reason: string, what: string, actual: number | undefined, limit: number): GraphQLError {
  const than = actual === undefined ? "more than that" : String(actual);
  return toGraphqlError(
    new AppError(
      "INVALID_ARGUMENT",
      reason,
      `${what}: the limit is ${limit}, the request has ${than}. Ask for less, or split it into several requests.`,
      { details: { metadata: { limit: String(limit), ...(actual !== undefined && { actual: String(actual) }) } } },
    ),
  );
}
