/** Something that takes tasks in batches and has workers that complete them. */
export interface TaskSystem {
  readonly name: string;
  /** The process whose CPU time is told: the gateway, or the rival's workers. */
  readonly pid: number;
  /** Whether it has written a task to disk when it acknowledges it. */
  readonly isAsDurable: boolean;
  /** Lets the workers begin. */
  begin(): Promise<void>;
  /** Enqueues one batch, durably, and answers how many tasks that was. */
  enqueueBatch(): Promise<number>;
  /** How many tasks have been completed so far. */
  completed(): number;
  /** Throws where a worker failed. */
  check(): void;
  /** Lets the workers rest, with nothing left to do. */
  end(): Promise<void>;
}

export const BATCH = 100;
/** Batches being enqueued at a time. */
export const PRODUCERS = 4;
/** Batches being worked on at a time. */
export const WORKERS = 4;
