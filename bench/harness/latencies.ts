import type { Caller } from "../load/callers.ts";
import { percentile } from "./figures.ts";

/** Callers that note how long each of their calls took. */
export interface TimedCallers {
  readonly callers: readonly Caller[];
  /** Forgets what was noted so far, e.g. after a warm-up. */
  reset(): void;
  /** In milliseconds: what this share of the calls did not exceed. */
  percentile(share: number): number;
  count(): number;
}

export function timeCallers(callers: readonly Caller[]): TimedCallers {
  const times: number[] = [];
  return {
    callers: callers.map((call) => async () => {
      const startedMs = performance.now();
      await call();
      times.push(performance.now() - startedMs);
    }),
    reset: () => void times.splice(0),
    percentile: (share) => percentile(times, share),
    count: () => times.length,
  };
}
