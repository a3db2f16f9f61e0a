import type { Json } from "../../core/json.ts";
import type { TaskRow } from "./store/task-row.ts";

/** Below the 4 MiB that gRPC clients take in one message where nobody told them otherwise. */
const MAX_ANSWER_BYTES = 3_500_000;
/** What a task takes besides what its producer and its workers wrote. */
const TASK_BYTES = 1_000;
/** What frames a value or a key, at most, in JSON or in protobuf. */
const FRAME_BYTES = 12;
const NUMBER_BYTES = 24;

/** How many of the first rows go into one answer; always one at least. */
export function countFitting(rows: readonly TaskRow[]): number {
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    bytes += rowBytes(row);
    if (bytes > MAX_ANSWER_BYTES && index > 0) return index;
  }
  return rows.length;
}

function rowBytes({ payload, labels, progress, failures }: TaskRow): number {
  const written = [payload, labels, progress ?? null, failures] as unknown as Json[];
  return written.reduce<number>((bytes, value) => bytes + valueBytes(value), TASK_BYTES);
}

/** At most what the value takes on any protocol: small numbers and empty lists are longer in protobuf than in JSON. */
function valueBytes(value: Json | undefined): number {
  if (typeof value === "string") return FRAME_BYTES + Buffer.byteLength(value);
  if (typeof value === "number") return NUMBER_BYTES;
  if (typeof value !== "object" || value === null) return FRAME_BYTES;
  let bytes = FRAME_BYTES;
  if (Array.isArray(value)) for (const item of value) bytes += valueBytes(item);
  else for (const key in value) bytes += FRAME_BYTES + Buffer.byteLength(key) + valueBytes(value[key]);
  return bytes;
}
