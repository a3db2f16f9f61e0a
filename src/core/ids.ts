import { randomBytes, randomFillSync } from "node:crypto";
import type { Clock } from "./clock.ts";

/** Makes ids; injected where a test needs to know them. */
export interface IdGenerator {
  /** A UUIDv7 (RFC 9562 section 5.7): ids sort by the millisecond in which they were made. */
  uuid(): string;
  /** `bytes` random bytes as base64url text, for secrets and tokens. */
  token(bytes: number): string;
}

/** Random bytes are drawn in blocks, because one system call for each id costs more than the id. */
const POOL_BYTES = 4096;
const RANDOM_BYTES_PER_UUID = 10;

export function createIdGenerator(clock: Clock): IdGenerator {
  const pool = Buffer.alloc(POOL_BYTES);
  let offset = POOL_BYTES;
  let lastMs = 0;
  let sequence = 0;

  return {
    uuid() {
      if (offset + RANDOM_BYTES_PER_UUID > POOL_BYTES) {
        randomFillSync(pool);
        offset = 0;
      }
      const random = pool.subarray(offset, offset + RANDOM_BYTES_PER_UUID);
      offset += RANDOM_BYTES_PER_UUID;

      // rand_a counts within a millisecond (RFC 9562 section 6.2, method 1), so one process's ids
      // keep the order in which they were made.
      const now = clock.now();
      if (now > lastMs) {
        lastMs = now;
        sequence = ((random[0]! << 8) | random[1]!) & 0x7ff;
      } else if (++sequence > 0xfff) {
        lastMs += 1;
        sequence = 0;
      }
      const time = lastMs.toString(16).padStart(12, "0");
      const variant = ((random[2]! & 0x3f) | 0x80).toString(16);
      const tail = random.toString("hex", 3, 10);
      const counter = sequence.toString(16).padStart(3, "0");
      return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}-${variant}${tail.slice(0, 2)}-${tail.slice(2)}`;
    },
    token: (bytes) => randomBytes(bytes).toString("base64url"),
  };
}
