/** Texts beyond this are parsed each time: few are that long, and a thousand of them would fill the memory. */
const MAX_CACHED_CHARACTERS = 8_192;

/** Remembers the last `maxEntries` queries that were used, by their text. */
export interface QueryCache<Value> {
  get(query: string): Value | undefined;
  set(query: string, value: Value): void;
  readonly size: number;
}

export function createQueryCache<Value>(maxEntries: number): QueryCache<Value> {
  // A Map keeps the order of insertion, so the first key is the one unused for longest.
  const entries = new Map<string, Value>();
  // The query of the last request is often that of the next one, and needs no new place then.
  let newest: string | undefined;
  return {
    get(query) {
      const value = entries.get(query);
      if (value !== undefined && query !== newest) {
        entries.delete(query);
        entries.set(query, value);
        newest = query;
      }
      return value;
    },
    set(query, value) {
      if (query.length > MAX_CACHED_CHARACTERS || maxEntries <= 0) return;
      if (entries.size >= maxEntries) entries.delete(entries.keys().next().value!);
      entries.set(query, value);
      newest = query;
    },
    get size() {
      return entries.size;
    },
  };
}
