import type { Component } from "./lifecycle.ts";
import type { Logger } from "./logger.ts";

export interface LoopOptions {
  readonly name: string;
  /** The longest pause between two runs, in milliseconds. */
  readonly intervalMs: number;
  /** One run. It may answer how long to pause before the next, in milliseconds, where that is sooner. */
  readonly work: (signal: AbortSignal) => Promise<number | undefined>;
  readonly logger: Logger;
}

export interface Loop extends Component {
  /** Makes the next run come within `delayMs`, if it would be later. */
  hurry(delayMs: number): void;
}

/** Runs `work` over and over, never twice at once; a failed run is logged and tried again at the next turn. */
export function createLoop({ name, intervalMs, work, logger }: LoopOptions): Loop {
  const aborter = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let dueAt = Number.POSITIVE_INFINITY;
  let running: Promise<void> | undefined;
  let hurriedMs = Number.POSITIVE_INFINITY;
  let started = false;

  const schedule = (delayMs: number) => {
    if (aborter.signal.aborted || !started) return;
    const at = performance.now() + delayMs;
    if (at >= dueAt) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(() => {
      dueAt = Number.POSITIVE_INFINITY;
      running = run().finally(() => {
        running = undefined;
      });
    }, delayMs);
  };

  const run = async () => {
    hurriedMs = Number.POSITIVE_INFINITY;
    let pauseMs: number | undefined;
    try {
      pauseMs = await work(aborter.signal);
    } catch (error) {
      if (!aborter.signal.aborted)
        logger.warn({ loop: name, err: error }, "A background run failed and will be tried again");
    }
    schedule(Math.min(intervalMs, pauseMs ?? intervalMs, hurriedMs));
  };

  return {
    name,
    async start() {
      if (started) return;
      started = true;
      schedule(0);
    },
    async stop() {
      aborter.abort();
      clearTimeout(timer);
      await running;
    },
    hurry(delayMs) {
      hurriedMs = Math.min(hurriedMs, delayMs);
      if (running === undefined) schedule(delayMs);
    },
  };
}
