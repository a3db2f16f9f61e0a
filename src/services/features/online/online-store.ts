import type { EntityRow } from "../values/row-batch.ts";

/** A row on its way into the online store. */
export interface OnlineRow extends EntityRow {
  /** When it may be forgotten, in milliseconds since the epoch; kept for good where absent. */
  readonly forgetAtMs?: number | undefined;
}

/** Which entities of which dataset to read. */
export interface OnlineRead {
  readonly datasetId: number;
  readonly entities: readonly string[];
}

export interface OnlineReadOptions {
  /** How old an answer may be: within this, a cache may answer without asking the store. Absent or 0 always asks it. */
  readonly maxStalenessMs?: number | undefined;
}

/**
 * The newest row of each entity, for reads at memory speed. Rows are stamped (packed-row.ts), and
 * a row replaces only one that it wins over: putting rows again, late or out of order ends the same.
 * A row whose time to be forgotten has passed by the store's clock is as if it had never been put.
 */
export interface OnlineStore {
  /**
   * Resolves when all rows are in. The same entity may be there twice. Where it fails, some of the
   * rows may be in; putting all of them again does no harm.
   */
  put(datasetId: number, rows: readonly OnlineRow[]): Promise<void>;
  /** For each read and each entity its packed row, not to be changed, or undefined; in the order asked for. One round trip. */
  get(reads: readonly OnlineRead[], options?: OnlineReadOptions): Promise<(Buffer | undefined)[][]>;
  /** Forgets a dataset, in steps of bounded size. Rows that are put meanwhile may stay. */
  clear(datasetId: number): Promise<void>;
}
