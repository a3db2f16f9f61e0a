import { endianness } from "node:os";
import type { FeatureShape, FeatureType, StoredValue } from "./feature-type.ts";
import type { Micros } from "./micros.ts";

/**
 * One row of features as bytes: what the online store keeps for an entity, and what the write log
 * keeps until the row is in Parquet.
 *
 * | bytes | what |
 * |---|---|
 * | 0–7 | event time, microseconds, as a big-endian double |
 * | 8–15 | created time, likewise |
 * | 16–23 | write sequence, likewise |
 * | 24 | format, now 1 |
 * | 25 | unused |
 * | 26–27 | number of features n, little-endian |
 * | 28–31 | unused |
 * | 32– | n bits, 1 where there is a value, padded to 8 bytes |
 * | then | n slots of 8 bytes: the value as a little-endian double, or where it is (offset and length, 32 bits each) |
 * | then | the bytes that slots point to |
 *
 * The first three are what decides between two rows of an entity, so a script can compare them
 * without knowing the rest. Features are in the order of the schema, and later versions of a
 * dataset only append: a row that has fewer features than a reader asks for has no value for the rest.
 */
export const HEADER_BYTES = 32;
const CREATED_AT = 8;
const SEQUENCE = 16;
const FORMAT = 24;
const COUNT = 26;
const SLOT_BYTES = 8;
const CURRENT_FORMAT = 1;

/** When a row happened, when the gateway learnt of it, and which write it was: later ones win, in this order. */
export interface RowOrder {
  readonly eventTime: Micros;
  readonly createdAt: Micros;
  readonly sequence: number;
}

/** Features are packed in this order. `values[i]` undefined or null is no value. */
export function packRow(
  eventTime: Micros,
  features: readonly FeatureShape[],
  values: readonly (StoredValue | null | undefined)[],
): Buffer {
  const count = features.length;
  const slots = slotsAt(count);
  const heapAt = slots + count * SLOT_BYTES;
  const heap: (Buffer | undefined)[] = [];
  let heapBytes = 0;
  for (let index = 0; index < count; index++) {
    const value = values[index];
    if (value === undefined || value === null || typeof value === "number" || typeof value === "boolean") continue;
    const bytes = HEAP_ENCODERS[features[index]!.type]!(value);
    heap[index] = bytes;
    heapBytes += bytes.length;
  }
  // From Node's pool, which is several times as fast; zeroed up to the values, because what is not
  // written here must not be what was in memory before.
  const row = Buffer.allocUnsafe(heapAt + heapBytes).fill(0, 0, slots);
  row.writeDoubleBE(eventTime, 0);
  row[FORMAT] = CURRENT_FORMAT;
  row.writeUInt16LE(count, COUNT);
  let offset = heapAt;
  for (let index = 0; index < count; index++) {
    const value = values[index];
    const slot = slots + index * SLOT_BYTES;
    if (value === undefined || value === null) {
      row.writeDoubleLE(0, slot);
      continue;
    }
    row[HEADER_BYTES + (index >> 3)]! |= 1 << (index & 7);
    const bytes = heap[index];
    if (bytes === undefined) {
      row.writeDoubleLE(Number(value), slot);
    } else {
      row.writeUInt32LE(offset, slot);
      row.writeUInt32LE(bytes.length, slot + 4);
      bytes.copy(row, offset);
      offset += bytes.length;
    }
  }
  return row;
}

/** Writes what is known only once the row is durable. */
export function stampRow(row: Buffer, createdAt: Micros, sequence: number): void {
  row.writeDoubleBE(createdAt, CREATED_AT);
  row.writeDoubleBE(sequence, SEQUENCE);
}

export function readOrder(row: Buffer): RowOrder {
  return {
    eventTime: readEventTime(row),
    createdAt: row.readDoubleBE(CREATED_AT),
    sequence: row.readDoubleBE(SEQUENCE),
  };
}

export function readEventTime(row: Buffer): Micros {
  return row.readDoubleBE(0);
}

/** How many features the schema had that a row was packed with. */
export function packedFeatureCount(row: Buffer): number {
  return row.readUInt16LE(COUNT);
}

/** Whether `left` wins over `right`. */
export function isNewer(left: RowOrder, right: RowOrder): boolean {
  if (left.eventTime !== right.eventTime) return left.eventTime > right.eventTime;
  if (left.createdAt !== right.createdAt) return left.createdAt > right.createdAt;
  return left.sequence > right.sequence;
}

/** Reads the feature at `index` of the schema, of the type it has there; null where there is no value. */
export function readValue(row: Buffer, index: number, type: FeatureType): StoredValue | null {
  const count = row.readUInt16LE(COUNT);
  if (index >= count || (row[HEADER_BYTES + (index >> 3)]! & (1 << (index & 7))) === 0) return null;
  const slot = slotsAt(count) + index * SLOT_BYTES;
  switch (type) {
    case "BOOL":
      return row.readDoubleLE(slot) === 1;
    case "INT64":
    case "DOUBLE":
    case "TIMESTAMP":
      return row.readDoubleLE(slot);
    default: {
      const offset = row.readUInt32LE(slot);
      return HEAP_DECODERS[type](row.subarray(offset, offset + row.readUInt32LE(slot + 4)));
    }
  }
}

type InSlot = "BOOL" | "INT64" | "DOUBLE" | "TIMESTAMP";
type OnHeap = Exclude<FeatureType, InSlot>;

function slotsAt(count: number): number {
  return HEADER_BYTES + 8 * Math.ceil(count / 64);
}

const encodeText = (value: StoredValue) => Buffer.from(value as string, "utf8");
const encodeNumbers = (value: StoredValue) => bytesOf(Float64Array.from(value as number[]));
const encodeAsJson = (value: StoredValue) => Buffer.from(JSON.stringify(value), "utf8");

const HEAP_ENCODERS: Partial<Record<FeatureType, (value: StoredValue) => Buffer>> = {
  STRING: encodeText,
  JSON: encodeText,
  BYTES: (value) => value as Buffer,
  BOOL_LIST: (value) => Buffer.from((value as boolean[]).map(Number)),
  INT64_LIST: encodeNumbers,
  DOUBLE_LIST: encodeNumbers,
  TIMESTAMP_LIST: encodeNumbers,
  STRING_LIST: encodeAsJson,
  VECTOR: (value) => bytesOf(value as Float32Array),
} satisfies Record<OnHeap, (value: StoredValue) => Buffer>;

const decodeText = (bytes: Buffer) => bytes.toString("utf8");
const decodeNumbers = (bytes: Buffer) =>
  Array.from({ length: bytes.length / 8 }, (_, at) => bytes.readDoubleLE(8 * at));

const HEAP_DECODERS: Record<OnHeap, (bytes: Buffer) => StoredValue> = {
  STRING: decodeText,
  JSON: decodeText,
  // A copy: the row's memory belongs to the driver's read buffer.
  BYTES: (bytes) => Buffer.from(bytes),
  BOOL_LIST: (bytes) => Array.from(bytes, (byte) => byte === 1),
  INT64_LIST: decodeNumbers,
  DOUBLE_LIST: decodeNumbers,
  TIMESTAMP_LIST: decodeNumbers,
  STRING_LIST: (bytes) => JSON.parse(bytes.toString("utf8")) as string[],
  VECTOR: (bytes) => Float32Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readFloatLE(4 * at)),
};

/** A typed array's bytes in little-endian order. */
function bytesOf(numbers: Float64Array | Float32Array): Buffer {
  const bytes = Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  if (endianness() === "LE") return bytes;
  return numbers instanceof Float64Array ? bytes.swap64() : bytes.swap32();
}
