import { AppError, type AppErrorOptions } from "../../core/errors.ts";

/**
 * What DuckDB said, without the texts it quotes: these may be paths, statements or values of a tenant.
 * `kind` is its first words, such as "Conversion" or "Out of Memory".
 */
export class DuckdbError extends Error {
  readonly kind: string;

  constructor(kind: string, message: string) {
    super(message);
    this.name = "DuckdbError";
    this.kind = kind;
  }
}

const KIND = /^(?<kind>[A-Za-z ]+?) Error: (?<text>[^\n]*)/;
const QUOTED = /"[^"]*"|'[^']*'|\bvalue \S+|\/\S+/g;
const MAX_MESSAGE_CHARACTERS = 300;

/** Brings whatever the driver threw into the form that may be logged. */
export function toDuckdbError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || thrown instanceof AppError || thrown instanceof DuckdbError) return thrown;
  const { kind, text } = KIND.exec(thrown.message)?.groups ?? {};
  if (kind === undefined || text === undefined) return thrown;
  return new DuckdbError(kind, `${kind}: ${text.replace(QUOTED, "…").slice(0, MAX_MESSAGE_CHARACTERS)}`);
}

/** What the caller of a query hears of it. */
export function mapDuckdbError(thrown: unknown): unknown {
  const error = toDuckdbError(thrown);
  if (!(error instanceof DuckdbError)) return error;
  const options: AppErrorOptions = { cause: error };
  if (error.kind === "Out of Memory") {
    return new AppError(
      "RESOURCE_EXHAUSTED",
      "QUERY_TOO_LARGE",
      "The query needs more memory or temporary disk space than the gateway may use. Ask for fewer rows or features at once, or raise the limit.",
      options,
    );
  }
  if (/interrupt/i.test(error.kind)) return new AppError("CANCELLED", "CANCELLED", "The query was cancelled.", options);
  if (error.kind === "IO" || error.kind === "Permission") {
    return new AppError(
      "UNAVAILABLE",
      "FILES_UNAVAILABLE",
      "The files of the feature history cannot be read or written at the moment. Try again shortly; what was acknowledged is safe.",
      { ...options, retryAfterMs: 1000 },
    );
  }
  return error;
}
