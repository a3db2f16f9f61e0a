import type { Micros } from "./micros.ts";
import { stampRow } from "./packed-row.ts";

/** One entity's row, packed (see packed-row.ts). */
export interface EntityRow {
  /** See entityText. */
  readonly entity: string;
  readonly row: Buffer;
}

/** Rows of one batch get consecutive numbers below this, so that the number of a batch and of a row in it are one. */
export const MAX_BATCH_ROWS = 65_536;

const LENGTH_BYTES = 4;

/** The rows of one write as bytes: for each its entity and the packed row, both after their length (32 bits). */
export function encodeRowBatch(rows: readonly EntityRow[]): Buffer {
  if (rows.length > MAX_BATCH_ROWS) throw new RangeError(`A batch has at most ${MAX_BATCH_ROWS} rows.`);
  let sizeBytes = 0;
  for (const { entity, row } of rows) sizeBytes += 2 * LENGTH_BYTES + Buffer.byteLength(entity) + row.length;
  const batch = Buffer.allocUnsafe(sizeBytes);
  let offset = 0;
  for (const { entity, row } of rows) {
    const entityBytes = batch.write(entity, offset + LENGTH_BYTES);
    offset = batch.writeUInt32LE(entityBytes, offset) + entityBytes;
    offset = batch.writeUInt32LE(row.length, offset);
    offset += row.copy(batch, offset);
  }
  return batch;
}

/** Gives every row of a batch its place in the order of all writes. */
export function stampBatch(rows: readonly EntityRow[], batchId: number, createdAt: Micros): void {
  for (const [index, { row }] of rows.entries()) stampRow(row, createdAt, batchId * MAX_BATCH_ROWS + index);
}

/** The number of the batch that a row came with. */
export function batchOf(sequence: number): number {
  return Math.floor(sequence / MAX_BATCH_ROWS);
}

/** Reads a batch back, each row stamped with its place in the order of all writes. */
export function decodeRowBatch(batch: Buffer, batchId: number, createdAt: Micros): EntityRow[] {
  const rows: EntityRow[] = [];
  for (let offset = 0; offset < batch.length; ) {
    const entityEnd = offset + LENGTH_BYTES + batch.readUInt32LE(offset);
    const entity = batch.toString("utf8", offset + LENGTH_BYTES, entityEnd);
    const rowEnd = entityEnd + LENGTH_BYTES + batch.readUInt32LE(entityEnd);
    rows.push({ entity, row: batch.subarray(entityEnd + LENGTH_BYTES, rowEnd) });
    offset = rowEnd;
  }
  stampBatch(rows, batchId, createdAt);
  return rows;
}
