import { endianness } from "node:os";

const FIRST_SIZE_BYTES = 64 * 1024;
/** More than this is not kept from one message to the next. */
const KEPT_SIZE_BYTES = 1024 * 1024;
const MAX_VARINT_BYTES = 10;
/** So many UTF-16 units fit into 127 bytes of UTF-8, whose length is one byte. */
const SHORT_TEXT = 42;
const LARGEST_BITWISE = 0x7fff_ffff;
const IS_LITTLE_ENDIAN = endianness() === "LE";

/** Writes one protobuf message after the other into memory that it keeps. */
export class WireWriter {
  #bytes = Buffer.allocUnsafeSlow(FIRST_SIZE_BYTES);
  #at = 0;

  /** What was written, as bytes of their own; the next message begins. */
  finish(): Buffer {
    const message = Buffer.from(this.#bytes.subarray(0, this.#at));
    this.#at = 0;
    if (this.#bytes.length > KEPT_SIZE_BYTES) this.#bytes = Buffer.allocUnsafeSlow(FIRST_SIZE_BYTES);
    return message;
  }

  /** Forgets what was written of a message that could not be ended. */
  reset(): void {
    this.#at = 0;
  }

  /** A whole number, below zero in the ten bytes that protobuf wants. */
  varint(value: number): void {
    this.#reserve(MAX_VARINT_BYTES);
    const bytes = this.#bytes;
    if (value < 0) this.#negative(value);
    else if (value < 128) bytes[this.#at++] = value;
    else this.#long(bytes, value);
  }

  #long(bytes: Buffer, value: number): void {
    let rest = value;
    // Bitwise operators see 32 bits alone.
    for (; rest > LARGEST_BITWISE; rest = Math.floor(rest / 128)) bytes[this.#at++] = (rest % 128) | 128;
    for (; rest > 127; rest >>>= 7) bytes[this.#at++] = (rest & 127) | 128;
    bytes[this.#at++] = rest;
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at = this.#bytes.writeDoubleLE(value, this.#at);
  }

  /** Numbers with the length of all in front. */
  packedDoubles(values: readonly number[]): void {
    const { buffer } = new Float64Array(values);
    const numbers = Buffer.from(buffer);
    this.bytes(IS_LITTLE_ENDIAN ? numbers : numbers.swap64());
  }

  /** A text with its length in front. */
  text(value: string): void {
    if (value.length > SHORT_TEXT) {
      const length = Buffer.byteLength(value);
      this.varint(length);
      this.#reserve(length);
      this.#at += this.#bytes.write(value, this.#at);
      return;
    }
    this.#reserve(128);
    const length = this.#bytes.write(value, this.#at + 1);
    this.#bytes[this.#at] = length;
    this.#at += 1 + length;
  }

  /** Bytes with their length in front. */
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Begins something whose length stands in front and is not known yet; `end` takes what this answers. */
  begin(): number {
    this.#reserve(1);
    return this.#at++;
  }

  end(begun: number): void {
    const length = this.#at - begun - 1;
    if (length < 128) {
      this.#bytes[begun] = length;
      return;
    }
    // One byte was left for the length: make room for the others.
    const more = Math.floor(Math.log2(length) / 7);
    this.#reserve(more);
    this.#bytes.copyWithin(begun + 1 + more, begun + 1, this.#at);
    const end = this.#at + more;
    this.#at = begun;
    this.varint(length);
    this.#at = end;
  }

  #negative(value: number): void {
    for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
      if (rest < 128n) {
        this.#bytes[this.#at++] = Number(rest);
        return;
      }
      this.#bytes[this.#at++] = Number(rest & 127n) | 128;
    }
  }

  #reserve(sizeBytes: number): void {
    if (this.#at + sizeBytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#bytes.length, this.#at + sizeBytes));
    this.#bytes.copy(larger, 0, 0, this.#at);
    this.#bytes = larger;
  }
}
