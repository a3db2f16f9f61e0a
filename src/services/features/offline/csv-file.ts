import { open } from "node:fs/promises";
import { quotePath, quoteText } from "../../../platform/duckdb/sql-text.ts";
import { readCsvHeader } from "./csv-header.ts";

/** A line of a text file. */
export const MAX_LINE_BYTES = 1024 * 1024;
const MAX_HEADER_BYTES = 256 * 1024;

export interface CsvFile {
  readonly header: readonly string[];
  /** A query for its columns, all of them texts. An empty value without quotes is null. */
  readonly read: string;
}

/**
 * How to read a CSV file without guessing: where DuckDB is left to guess, it takes lines that do not
 * fit for something else, and leaves them out. Undefined where its first line does not end.
 */
export async function openCsvFile(path: string): Promise<CsvFile | undefined> {
  const header = readCsvHeader(await readStart(path));
  if (header === undefined) return undefined;
  const columns = header.map((name) => `${quoteText(name)}: 'VARCHAR'`).join(", ");
  const read = `read_csv(${quotePath(path)}, columns = {${columns}}, auto_detect = false, header = true, delim = ',',
    quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, strict_mode = true, null_padding = false,
    max_line_size = ${MAX_LINE_BYTES}, hive_partitioning = false)`;
  return { header, read };
}

async function readStart(path: string): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_HEADER_BYTES), 0, MAX_HEADER_BYTES, 0);
    // The last line need not end in a line break.
    return buffer.toString("utf8", 0, bytesRead) + (bytesRead < MAX_HEADER_BYTES ? "\n" : "");
  } finally {
    await file.close();
  }
}
