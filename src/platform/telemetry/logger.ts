import pino from "pino";
import type { Logger } from "../../core/logger.ts";

export interface LoggerOptions {
  readonly level: pino.LevelWithSilent;
  /** Fields of every line, e.g. which gateway wrote it. */
  readonly fields?: Readonly<Record<string, string>>;
  /** The trace that is being worked on, while tracing is on. */
  readonly traceId?: () => string | undefined;
  /** Takes each line; standard output where it is left out. */
  readonly destination?: pino.DestinationStream;
}

/** Fields that may hold a secret, at the top of a line or one level below. Callers should not log them at all. */
const SECRET_FIELDS = [
  "authorization",
  "cookie",
  "apiKey",
  "secret",
  "password",
  "token",
  "databaseUrl",
  "redisUrl",
  "connectionString",
];
const REDACTED_PATHS = SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]);

/** Writes one JSON object a line. Lines are written at once, so that a crash loses none. */
export function createLogger({ level, fields = {}, traceId, destination }: LoggerOptions): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED_PATHS, censor: "[redacted]" },
    ...(traceId && { mixin: () => mixinOf(traceId()) }),
  };
  return pino(options, destination ?? pino.destination({ dest: 1, sync: true }));
}

function mixinOf(traceId: string | undefined): object {
  return traceId === undefined ? {} : { traceId };
}
