const PREFIX_BYTES = 5;

/** Where the messages of a gRPC stream begin and end: each has a flag, its length in four bytes, and itself. */
export interface FrameCounter {
  add(chunk: Buffer): void;
  /** Whether a message has begun and not ended. */
  readonly isWithinMessage: boolean;
  /** Forgets the oldest whole message, and answers how many bytes it had. */
  take(): number;
}

export function createFrameCounter(): FrameCounter {
  const wholeBytes: number[] = [];
  let prefixRead = 0;
  let length = 0;
  let bodyRead = 0;

  /** Reads what of the chunk, from `at`, belongs to the message under way; answers where it goes on. */
  function read(chunk: Buffer, at: number): number {
    if (prefixRead < PREFIX_BYTES) {
      if (prefixRead > 0) length = length * 256 + chunk[at]!;
      prefixRead++;
      return at + 1;
    }
    const bytes = Math.min(length - bodyRead, chunk.length - at);
    bodyRead += bytes;
    return at + bytes;
  }

  return {
    add(chunk) {
      let at = 0;
      while (at < chunk.length) {
        at = read(chunk, at);
        if (prefixRead < PREFIX_BYTES || bodyRead < length) continue;
        wholeBytes.push(PREFIX_BYTES + length);
        prefixRead = 0;
        length = 0;
        bodyRead = 0;
      }
    },
    get isWithinMessage() {
      return prefixRead > 0;
    },
    take: () => wholeBytes.shift() ?? 0,
  };
}
