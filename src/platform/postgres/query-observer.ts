import { performance } from "node:perf_hooks";

/** Hears of every statement after it ended: its text (never its values), how long it took, and its error if it failed. */
export type QueryObserver = (text: string, durationMs: number, error?: unknown) => void;

/** Runs `work` and tells `observer` how it went. */
export async function observeQuery<T>(observer: QueryObserver, text: string, work: () => Promise<T>): Promise<T> {
  const startedMs = performance.now();
  try {
    const result = await work();
    observer(text, performance.now() - startedMs);
    return result;
  } catch (error) {
    observer(text, performance.now() - startedMs, error);
    throw error;
  }
}
