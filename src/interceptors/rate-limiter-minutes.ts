import type { Clock } from "../core/clock.ts";

/** Counts what happens in a minute, for each key by itself, in this process alone. */
export interface MinuteCounter {
  add(key: string): void;
  /** How many there were since the key's minute began, which is with the first of them. */
  current(key: string): number;
}

interface Minute {
  count: number;
  endsAtMs: number;
}

const MINUTE_MS = 60_000;

/** Remembers `maxKeys` at most: beyond them the key whose minutes were begun first starts again from none. */
export function createMinuteCounter(clock: Clock, maxKeys: number): MinuteCounter {
  const minutes = new Map<string, Minute>();
  return {
    add(key) {
      const now = clock.monotonic();
      const minute = minutes.get(key);
      if (minute === undefined) {
        if (minutes.size >= maxKeys) minutes.delete(minutes.keys().next().value!);
        minutes.set(key, { count: 1, endsAtMs: now + MINUTE_MS });
      } else if (now < minute.endsAtMs) {
        minute.count += 1;
      } else {
        minute.count = 1;
        minute.endsAtMs = now + MINUTE_MS;
      }
    },
    current(key) {
      const minute = minutes.get(key);
      return minute !== undefined && clock.monotonic() < minute.endsAtMs ? minute.count : 0;
    },
  };
}
