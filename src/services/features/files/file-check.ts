import { isUtf8 } from "node:buffer";
import type { AppError } from "../../../core/errors.ts";
import type { Duckdb } from "../../../platform/duckdb/duckdb.ts";
import type { DuckdbSession } from "../../../platform/duckdb/session.ts";
import { quotePath } from "../../../platform/duckdb/sql-text.ts";
import { fileProblem, fileUnreadable } from "./file-errors.ts";
import type { FileFolder } from "./file-folder.ts";
import type { FeatureFileFormat } from "./file-model.ts";

const MAGIC = Buffer.from("PAR1");
const MIN_PARQUET_BYTES = 12;
const MAX_PARQUET_COLUMNS = 2000;
const MAX_PARQUET_ROWS = 1_000_000_000;
/** One column of one row group is unpacked in memory. */
const MAX_COLUMN_CHUNK_BYTES = 512 * 1024 * 1024;
/** Honest files stay far below this; small ones may compress as they like. */
const MAX_UNPACKED_RATIO = 200;
const SMALL_UNPACKED_BYTES = 256 * 1024 * 1024;
/** The longest character of UTF-8 has four bytes. */
const LONGEST_TAIL_BYTES = 3;

export interface FileToCheck {
  readonly namespace: string;
  readonly fileId: string;
  readonly format: FeatureFileFormat;
  readonly sizeBytes: number;
}

/** Refuses a file whose content is not what its format says, or would be far larger than it is once unpacked. */
export async function checkFile(
  { folder, duckdb }: { readonly folder: FileFolder; readonly duckdb: Duckdb },
  file: FileToCheck,
  signal: AbortSignal,
): Promise<void> {
  const { namespace, fileId, format, sizeBytes } = file;
  if (format !== "PARQUET") return checkText(folder.chunks(namespace, fileId, signal), format);
  const head = await folder.read(namespace, fileId, 0, MAGIC.length);
  const tail = await folder.read(namespace, fileId, Math.max(0, sizeBytes - MAGIC.length), MAGIC.length);
  if (sizeBytes < MIN_PARQUET_BYTES || !head.equals(MAGIC) || !tail.equals(MAGIC)) {
    throw fileUnreadable(format, "it does not begin and end as a Parquet file does");
  }
  const path = quotePath(folder.pathOf(namespace, fileId));
  await duckdb.use(async (session) => {
    try {
      await checkFooter(session, path, sizeBytes);
    } catch (error) {
      throw fileProblem(error, format);
    }
  }, signal);
}

async function checkFooter(session: DuckdbSession, path: string, sizeBytes: number): Promise<void> {
  const [counted] = await session.rows(`SELECT CAST(num_rows AS DOUBLE) FROM parquet_file_metadata(${path})`);
  const [sizes] = await session.rows(
    `SELECT CAST(count(DISTINCT path_in_schema) AS DOUBLE), CAST(coalesce(max(total_uncompressed_size), 0) AS DOUBLE),
       CAST(coalesce(sum(total_uncompressed_size), 0) AS DOUBLE), CAST(coalesce(min(total_uncompressed_size), 0) AS DOUBLE)
     FROM parquet_metadata(${path})`,
  );
  const rowCount = counted![0] as number;
  const [columns, largest, unpacked, smallest] = sizes as [number, number, number, number];
  if (rowCount < 0 || smallest < 0) throw fileUnreadable("PARQUET", "its footer counts less than nothing");
  if (rowCount > MAX_PARQUET_ROWS) throw tooLarge(`it has more than ${MAX_PARQUET_ROWS} rows`);
  if (columns > MAX_PARQUET_COLUMNS) throw tooLarge(`it has more than ${MAX_PARQUET_COLUMNS} columns`);
  if (largest > MAX_COLUMN_CHUNK_BYTES) {
    throw tooLarge(
      `a column of a row group unpacks to more than ${MAX_COLUMN_CHUNK_BYTES} bytes; write smaller row groups`,
    );
  }
  if (unpacked > SMALL_UNPACKED_BYTES && unpacked > MAX_UNPACKED_RATIO * sizeBytes) {
    throw tooLarge(`it unpacks to more than ${MAX_UNPACKED_RATIO} times its size`);
  }
  // Names of columns, and the first pages.
  await session.rows(`DESCRIBE SELECT * FROM read_parquet(${path}, hive_partitioning = false)`);
  await session.run(`SELECT * FROM read_parquet(${path}, hive_partitioning = false) LIMIT 1`);
}

function tooLarge(why: string): AppError {
  return fileUnreadable("PARQUET", why);
}

async function checkText(chunks: AsyncIterable<Buffer>, format: FeatureFileFormat): Promise<void> {
  let tail = Buffer.alloc(0);
  for await (const chunk of chunks) {
    const bytes = tail.length === 0 ? chunk : Buffer.concat([tail, chunk]);
    const end = wholeCharacters(bytes);
    if (!isUtf8(bytes.subarray(0, end))) throw fileUnreadable(format, "it is not UTF-8 text");
    if (bytes.includes(0)) throw fileUnreadable(format, "it has NUL bytes in it, as text has not");
    tail = Buffer.from(bytes.subarray(end));
  }
  if (tail.length > 0) throw fileUnreadable(format, "it ends in the middle of a character");
}

/** Where the last character that may go on in the next chunk begins. */
function wholeCharacters(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(LONGEST_TAIL_BYTES, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    const isContinuation = (byte & 0xc0) === 0x80;
    if (isContinuation) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return length > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}
