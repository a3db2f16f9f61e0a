import { isNewer, readOrder } from "../values/packed-row.ts";

/** What is remembered of an entity: its row, or that it has none. */
export interface CachedRow {
  readonly row: Buffer | undefined;
  /** The last moment at which this is known to have been the store's newest row, by a clock that never jumps. */
  readonly asOfMs: number;
}

/** What an entry costs beside its row and its entity, roughly. */
const ENTRY_OVERHEAD_BYTES = 200;
/** A row that would drive out this share of all others is not worth it. */
const LARGEST_SHARE = 1 / 16;

/** Rows by dataset and entity, bounded in number and bytes: the one that was not used for longest makes room. */
export function createRowCache(bounds: { readonly maxEntries: number; readonly maxBytes: number }) {
  // A Map keeps the order in which entries were put in, so the first is the one to go.
  const entries = new Map<string, CachedRow>();
  let sizeBytes = 0;

  const remove = (key: string) => {
    const entry = entries.get(key);
    if (entry === undefined) return;
    entries.delete(key);
    sizeBytes -= sizeOf(key, entry.row);
  };
  const set = (key: string, row: Buffer | undefined, asOfMs: number) => {
    remove(key);
    const entryBytes = sizeOf(key, row);
    if (entryBytes > bounds.maxBytes * LARGEST_SHARE) return;
    entries.set(key, { row: row && copyOf(row), asOfMs });
    sizeBytes += entryBytes;
    while (entries.size > bounds.maxEntries || sizeBytes > bounds.maxBytes) remove(entries.keys().next().value!);
  };

  return {
    /** The entry, if it is known to have been true at `sinceMs` or later. */
    get(key: string, sinceMs: number): CachedRow | undefined {
      const entry = entries.get(key);
      if (entry === undefined || entry.asOfMs < sinceMs) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry;
    },
    /** Remembers what the store answered to a question asked at `asOfMs`, unless a later answer is there. */
    fill(key: string, row: Buffer | undefined, asOfMs: number): void {
      const entry = entries.get(key);
      if (entry === undefined || entry.asOfMs <= asOfMs) set(key, row, asOfMs);
    },
    /**
     * Brings an entry up to a row that is in the store now. It gets no younger by that: somebody
     * else may have written a row that wins over both since it was read. For the same reason
     * nothing is remembered of an entity that has no entry.
     */
    advance(key: string, row: Buffer): void {
      const entry = entries.get(key);
      if (entry === undefined) return;
      if (entry.row === undefined || isNewer(readOrder(row), readOrder(entry.row))) set(key, row, entry.asOfMs);
    },
    removeAll(prefix: string): void {
      for (const key of entries.keys()) if (key.startsWith(prefix)) remove(key);
    },
    usage: () => ({ entries: entries.size, sizeBytes }),
  };
}

export type RowCache = ReturnType<typeof createRowCache>;

function sizeOf(key: string, row: Buffer | undefined): number {
  return ENTRY_OVERHEAD_BYTES + 2 * key.length + (row?.length ?? 0);
}

/** A row from a driver is a piece of its read buffer, and would keep the whole of it in memory. */
function copyOf(row: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(row.length);
  row.copy(copy);
  return copy;
}
