import type { Clock } from "../../../core/clock.ts";
import type { IdGenerator } from "../../../core/ids.ts";
import type { Logger } from "../../../core/logger.ts";
import type { Duckdb } from "../../../platform/duckdb/duckdb.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import type { Dataset } from "../values/dataset.ts";
import type { EntityRow } from "../values/row-batch.ts";
import type { FilePins } from "./file-pins.ts";

/** Is awaited before rows leave the log: puts them into the online store, in case that was not done yet. */
export type BeforeForget = (dataset: Dataset, rows: readonly EntityRow[]) => Promise<void>;

export interface OfflineLimits {
  /** What one flush takes out of the log at most. */
  readonly flushRows: number;
  readonly flushBytes: number;
  /** How many files one flush makes at most, whatever days its rows are of. */
  readonly flushFiles: number;
  /** With more days than a few, one that has fewer rows than this gets no file of its own. */
  readonly rowsForOwnFile: number;
  /** How many files of similar size make a compaction worth it. */
  readonly compactFiles: number;
  /** What one compaction reads at most. */
  readonly compactBytes: number;
  /** A day to which nothing was written for so long is merged into one file. */
  readonly settledAfterMs: number;
  /** How long a replaced file stays, for readers of other gateways that began before. */
  readonly graceMs: number;
  /** How old a file is that nobody will make part of a dataset any more. */
  readonly orphanAgeMs: number;
  /**
   * So much of the log waits in memory until the transaction of a snapshot is over: an embedded
   * database has only one at a time. The rest goes to DuckDB within it.
   */
  readonly heldBytes: number;
  /** What a point-in-time join takes at most. */
  readonly entityRows: number;
}

export const DEFAULT_LIMITS: OfflineLimits = {
  flushRows: 200_000,
  flushBytes: 16 * 1024 * 1024,
  flushFiles: 32,
  rowsForOwnFile: 1000,
  compactFiles: 4,
  compactBytes: 1024 * 1024 * 1024,
  settledAfterMs: 60 * 60_000,
  graceMs: 10 * 60_000,
  orphanAgeMs: 60 * 60_000,
  heldBytes: 64 * 1024 * 1024,
  entityRows: 50_000_000,
};

/** What all parts of the offline store work with. */
export interface OfflineContext {
  readonly database: Database;
  readonly duckdb: Duckdb;
  /** Absolute. */
  readonly dataDir: string;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly logger: Logger;
  readonly beforeForget: BeforeForget;
  readonly limits: OfflineLimits;
  readonly pins: FilePins;
}
