import { AppError } from "../../../core/errors.ts";
import { DuckdbError } from "../../../platform/duckdb/duckdb-error.ts";
import type { FeatureFileFormat } from "./file-model.ts";

const LINE = /\bline:? (?<line>\d+)/i;

/** The content of a file is not what its format says. */
export function fileUnreadable(format: FeatureFileFormat, why: string, cause?: unknown): AppError {
  return new AppError(
    "INVALID_ARGUMENT",
    "FILE_UNREADABLE",
    `The file cannot be read as ${format}: ${why}. Check that it is whole and of that format, and upload it again.`,
    { cause, details: { metadata: { format } } },
  );
}

/** What DuckDB threw while it read somebody's file, as the fault of the file where it is one. */
export function fileProblem(error: unknown, format: FeatureFileFormat): unknown {
  if (!(error instanceof DuckdbError) || /memory|interrupt/i.test(error.kind)) return error;
  const line = LINE.exec(error.message)?.groups?.line;
  return fileUnreadable(
    format,
    line === undefined ? "its content is damaged" : `line ${line} is not what it should be`,
    error,
  );
}
