import type { Queryable } from "../../../platform/postgres/database.ts";
import type { Dataset } from "../values/dataset.ts";
import type { EntityKeyValue } from "../values/entity-key.ts";
import type { StoredValue } from "../values/feature-type.ts";
import type { Micros } from "../values/micros.ts";
import type { EntityRow } from "../values/row-batch.ts";

/** Where a row came to stand in the order of all writes. */
export interface Appended {
  readonly batchId: number;
  readonly createdAt: Micros;
}

/**
 * What the gateway knew: when an entity row happened (ENTITY_TIME: rows that were written later are
 * left out, so nothing leaks from the future), or what it knows now (LATEST).
 */
export type KnownAt = "ENTITY_TIME" | "LATEST";

/** What became of one value. OUTSIDE_MAX_AGE: the newest one is older than the ttl allows. */
export type ValueStatus = "PRESENT" | "NULL_VALUE" | "NOT_FOUND" | "OUTSIDE_MAX_AGE";

/** Entity rows in memory: columns of equal length. A key or time that is null matches nothing. */
export interface InlineEntities {
  readonly kind: "INLINE";
  readonly keys: Readonly<Record<string, readonly (EntityKeyValue | null)[]>>;
  readonly times: readonly (Micros | null)[];
}

/** Entity rows in a file. All of its columns go into a file that is made from it. */
export interface EntityFile {
  readonly kind: "FILE";
  readonly format: "PARQUET" | "CSV";
  /** Absolute, and inside the data folder. */
  readonly path: string;
  /** The column with the time of each row: a timestamp, or an RFC 3339 text. */
  readonly timeColumn: string;
}

export interface PointInTimeSource {
  readonly dataset: Dataset;
  readonly features: readonly {
    readonly name: string;
    /** Its column in a file; where absent, its own name. Columns of one file have different names. */
    readonly as?: string | undefined;
  }[];
  /** The input's columns that hold the dataset's entity keys, in their order; where absent, those of the same names. */
  readonly keyColumns?: readonly string[] | undefined;
  /** Rows older than this, seen from the entity row's time, are OUTSIDE_MAX_AGE. */
  readonly ttlMicros?: number | undefined;
}

export interface PointInTimeRequest {
  readonly entities: InlineEntities | EntityFile;
  readonly sources: readonly PointInTimeSource[];
  readonly knownAt: KnownAt;
}

export interface FeatureColumn {
  readonly values: readonly (StoredValue | null)[];
  readonly statuses: readonly ValueStatus[];
}

/** Some rows of the answer, in the input's order; chunks follow one another without gaps. */
export interface PointInTimeChunk {
  readonly firstRow: number;
  readonly rowCount: number;
  /** As in the request. */
  readonly sources: readonly {
    /** Of the winning row, also where it is OUTSIDE_MAX_AGE; null where there is none. */
    readonly eventTimes: readonly (Micros | null)[];
    /** As in the source's `features`. */
    readonly columns: readonly FeatureColumn[];
  }[];
}

export interface ExportTarget {
  /** Absolute, inside the data folder; a file that is there is replaced. It appears there whole, or not at all. */
  readonly path: string;
  readonly format: "PARQUET" | "CSV";
  /** Adds `<column>__status` for each feature and `<group>__event_time` for each source. */
  readonly withStatus?: boolean | undefined;
}

export interface Exported {
  readonly rowCount: number;
  readonly sizeBytes: number;
}

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Hears now and then how far a long run is, 0 to 1. */
  readonly onProgress?: ((share: number) => void) | undefined;
}

export interface FlushOptions extends RunOptions {
  /** For datasets whose history is not kept: rows leave the log, and that is all. */
  readonly withoutFiles?: boolean | undefined;
}

export interface LatestRequest {
  readonly features: readonly string[];
  /** As of this time; now where absent. */
  readonly asOf?: Micros | undefined;
  /** ENTITY_TIME: only what was known at `asOf`. LATEST where absent. */
  readonly knownAt?: KnownAt | undefined;
  readonly ttlMicros?: number | undefined;
  readonly limit: number;
  /** The `next` of the page before. Pages are in the order of the entity keys. */
  readonly after?: readonly EntityKeyValue[] | undefined;
}

export interface ScanLatestRequest {
  readonly features: readonly string[];
  /** Only rows with event times from here on. */
  readonly from?: Micros | undefined;
  /** Only rows with event times before this. */
  readonly to?: Micros | undefined;
}

export interface ExportRangeRequest {
  readonly features: readonly string[];
  /** Event times from here on. */
  readonly from?: Micros | undefined;
  /** Event times before this. */
  readonly to?: Micros | undefined;
}

export interface RangePlace {
  readonly eventTime: Micros;
  readonly sequence: number;
}

export interface RangeRequest {
  readonly features: readonly string[];
  /** Event times from here on. */
  readonly from?: Micros | undefined;
  /** Event times before this. */
  readonly to?: Micros | undefined;
  /** Only this entity. */
  readonly entity?: readonly EntityKeyValue[] | undefined;
  readonly limit: number;
  /** The `next` of the page before. Pages are in the order of (event time, write sequence). */
  readonly after?: RangePlace | undefined;
}

/** Rows as columns of equal length. */
export interface RowPage<Place> {
  readonly rowCount: number;
  readonly entities: readonly (readonly EntityKeyValue[])[];
  readonly eventTimes: readonly Micros[];
  readonly createdAt: readonly Micros[];
  readonly sequences: readonly number[];
  /** As in the request's `features`. In `latest`, a row OUTSIDE_MAX_AGE has that status and null values. */
  readonly columns: readonly FeatureColumn[];
  /** Absent on the last page. */
  readonly next?: Place | undefined;
}

export interface DatasetStatistics {
  readonly datasetId: number;
  /** All rows, those that are still in the log included. */
  readonly rowCount: number;
  readonly fileCount: number;
  /** Of the Parquet files. */
  readonly sizeBytes: number;
  readonly pendingRows: number;
  readonly pendingBytes: number;
  readonly minEventTime: Micros | undefined;
  readonly maxEventTime: Micros | undefined;
  /** When a row was last written. */
  readonly lastWrittenAt: Micros | undefined;
}

/** A dataset with rows in the log, the one with the oldest first. */
export interface PendingDataset {
  readonly datasetId: number;
  readonly rowCount: number;
  readonly sizeBytes: number;
  readonly oldestCreatedAt: Micros;
}

export interface FlushResult {
  readonly rowCount: number;
  readonly fileCount: number;
  /** More is waiting: call again. */
  readonly more: boolean;
}

export interface CompactResult {
  readonly filesReplaced: number;
  readonly more: boolean;
}

/**
 * The whole history of feature rows. A row is durable from `append` on. Reads see every row that
 * was appended before they began exactly once, whether it is in the log or in a file by then.
 */
export interface OfflineStore {
  /**
   * Makes rows durable and stamps them (packed-row.ts). At most MAX_BATCH_ROWS, at least one.
   * Within a transaction of the caller's, they are durable when that is committed.
   */
  append(datasetId: number, rows: readonly EntityRow[], transaction?: Queryable): Promise<Appended>;

  /** Datasets that have rows in the log. */
  pendingDatasets(limit: number): Promise<PendingDataset[]>;
  /**
   * Moves some rows of a dataset from the log to files. `dataset` must be its newest definition:
   * ABORTED, DATASET_CHANGED where rows have features that it does not know.
   */
  flushOnce(dataset: Dataset, options?: FlushOptions): Promise<FlushResult>;
  /** Merges some small files of one day. */
  compactOnce(dataset: Dataset, options?: RunOptions): Promise<CompactResult>;
  /** Removes files that were replaced or never became part of a dataset, after their time of grace. */
  removeLeftovers(options?: RunOptions): Promise<{ readonly filesRemoved: number }>;

  /** One output row for each entity row, in order. Leaving the iteration ends the work. */
  pointInTime(request: PointInTimeRequest, options?: RunOptions): AsyncIterable<PointInTimeChunk>;
  /** The same into a file, with all columns of the entity rows in front. */
  exportPointInTime(request: PointInTimeRequest, target: ExportTarget, options?: RunOptions): Promise<Exported>;
  /** The newest row of each entity. */
  latest(dataset: Dataset, request: LatestRequest, options?: RunOptions): Promise<RowPage<readonly EntityKeyValue[]>>;
  /** The newest row of every entity in one pass, in no order, e.g. to fill an online store again. */
  scanLatest(dataset: Dataset, request: ScanLatestRequest, options?: RunOptions): AsyncIterable<RowPage<never>>;
  /** All rows of a time range. */
  range(dataset: Dataset, request: RangeRequest, options?: RunOptions): Promise<RowPage<RangePlace>>;
  /** All rows of a time range as a file: entity keys, features and `event_time`, by event time. */
  exportRange(
    dataset: Dataset,
    request: ExportRangeRequest,
    target: ExportTarget,
    options?: RunOptions,
  ): Promise<Exported>;
  /** In the order of `datasetIds`. */
  statistics(datasetIds: readonly number[]): Promise<DatasetStatistics[]>;
  /** Forgets all rows of a dataset; its files go after their time of grace. */
  removeDataset(datasetId: number): Promise<void>;

  close(): Promise<void>;
}
