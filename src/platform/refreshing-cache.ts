import type { Clock } from "../core/clock.ts";
import { createBoundedMap } from "./bounded-map.ts";

export interface RefreshingCacheOptions<Value> {
  readonly clock: Clock;
  /** Nothing older than this is answered with. */
  readonly maxAgeMs: number;
  /** Values beyond this many, or of more weight than this, are forgotten, those first that were loaded longest ago. */
  readonly maxEntries: number;
  /** How many entries a value counts for; one where absent. */
  readonly weightOf?: (value: Value) => number;
  /** Answers undefined for what is not there. */
  load(key: string): Promise<Value | undefined>;
}

/** Remembers what a store said, for a bounded time, and asks again before that has passed. */
export interface RefreshingCache<Value> {
  /** What is known now, without waiting. */
  peek(key: string): Value | undefined;
  get(key: string): Promise<Value | undefined>;
  drop(key: string): void;
  dropWhere(isStale: (key: string, value: Value) => boolean): void;
  /** Drops by key alone, also what is known not to be there. */
  dropKeys(isStale: (key: string) => boolean): void;
  clear(): void;
}

interface Entry<Value> {
  readonly value: Value;
  readonly loadedAtMs: number;
}

export function createRefreshingCache<Value>(options: RefreshingCacheOptions<Value>): RefreshingCache<Value> {
  const { clock, maxAgeMs, maxEntries, weightOf = () => 1 } = options;
  const present = createBoundedMap<Entry<Value>>(maxEntries, ({ value }) => weightOf(value));
  // Apart, so that guesses at what is not there cannot push out what is.
  const absent = createBoundedMap<number>(maxEntries, () => 1);
  const loading = new Map<string, Promise<Value | undefined>>();
  // What was dropped while it was being loaded must not be remembered as it was before.
  let generation = 0;

  async function fetch(key: string): Promise<Value | undefined> {
    const startedIn = generation;
    const loadedAtMs = clock.monotonic();
    const value = await options.load(key);
    if (startedIn !== generation) return value;
    present.delete(key);
    absent.delete(key);
    if (value === undefined) absent.set(key, loadedAtMs);
    else present.set(key, { value, loadedAtMs });
    return value;
  }

  function load(key: string): Promise<Value | undefined> {
    const underWay = loading.get(key);
    if (underWay) return underWay;
    const fetched = fetch(key).finally(() => {
      if (loading.get(key) === fetched) loading.delete(key);
    });
    loading.set(key, fetched);
    return fetched;
  }

  function peek(key: string): Value | undefined {
    const entry = present.get(key);
    if (entry === undefined) return undefined;
    const ageMs = clock.monotonic() - entry.loadedAtMs;
    if (ageMs >= maxAgeMs) return undefined;
    // A failure shows when the entry is too old and asked for in earnest.
    if (ageMs > maxAgeMs / 2 && !loading.has(key)) load(key).catch(() => {});
    return entry.value;
  }

  return {
    peek,
    async get(key) {
      const known = peek(key);
      if (known !== undefined) return known;
      const absentSinceMs = absent.get(key);
      if (absentSinceMs !== undefined && clock.monotonic() - absentSinceMs < maxAgeMs) return undefined;
      return load(key);
    },
    drop(key) {
      generation += 1;
      present.delete(key);
      absent.delete(key);
      loading.delete(key);
    },
    dropWhere(isStale) {
      generation += 1;
      loading.clear();
      for (const [key, { value }] of present.entries()) if (isStale(key, value)) present.delete(key);
    },
    dropKeys(isStale) {
      generation += 1;
      loading.clear();
      for (const [key] of present.entries()) if (isStale(key)) present.delete(key);
      for (const [key] of absent.entries()) if (isStale(key)) absent.delete(key);
    },
    clear() {
      generation += 1;
      present.clear();
      absent.clear();
      loading.clear();
    },
  };
}
