import type { DuckdbSession } from "../../../platform/duckdb/session.ts";
import type { Dataset } from "../values/dataset.ts";
import type { Micros } from "../values/micros.ts";
import { checkColumnNames } from "./columns.ts";
import { type CatalogueFile, listFiles } from "./file-catalogue.ts";
import type { OfflineContext } from "./offline-context.ts";
import { readDatasetFiles } from "./parquet-file.ts";
import { appendToRowTable, createRowTable, type RowTable, rowTableSelect } from "./row-table.ts";
import { type PendingBatch, type PendingPage, pendingBatches, readPages } from "./write-log.ts";

/** What of a dataset a read needs. */
export interface SnapshotPart {
  readonly dataset: Dataset;
  /** By their place in the dataset. */
  readonly features: readonly number[];
  /** Rows with event times outside of these (both included) are left out. */
  readonly fromEventTime?: Micros | undefined;
  readonly toEventTime?: Micros | undefined;
}

/** The rows of a dataset as a query, with the columns k0, …, f0, …, event_time, created_at, write_sequence. */
export interface Relation {
  readonly sql: string;
  /** At most so many rows. */
  readonly rowCount: number;
}

export interface Snapshot {
  /** As the parts. */
  readonly relations: readonly Relation[];
  /** From here on its files may be removed. */
  release(): void;
}

/**
 * All rows of some datasets as of one moment: what is in files, and what is still in the log. Both
 * are read in one transaction with one snapshot, so a row that is moved meanwhile is seen once.
 */
export async function openSnapshot(
  context: OfflineContext,
  session: DuckdbSession,
  parts: readonly SnapshotPart[],
): Promise<Snapshot> {
  for (const { dataset } of parts) checkColumnNames(dataset);
  const tables = parts.map(
    ({ dataset, features }, place): RowTable => ({ name: `pending_${place}`, dataset, features }),
  );
  const datasetIds = [...new Set(parts.map(({ dataset }) => dataset.datasetId))];
  const put = async ({ datasetId, rows }: PendingPage) => {
    for (const [place, { dataset }] of parts.entries()) {
      if (dataset.datasetId === datasetId) await appendToRowTable(session, tables[place]!, rows);
    }
  };

  const { files, batches, kept } = await context.database.transaction(async (transaction) => {
    await transaction.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    for (const table of tables) await createRowTable(session, table);
    const files = await listFiles(transaction, datasetIds);
    const batches = (await pendingBatches(transaction, datasetIds)).filter((batch) => isWanted(batch, parts));
    const kept: PendingPage[] = [];
    let keptBytes = 0;
    for await (const page of readPages(transaction, batches)) {
      keptBytes += page.sizeBytes;
      if (keptBytes > context.limits.heldBytes) await put(page);
      else kept.push(page);
    }
    return { files, batches, kept };
  });
  const wanted = parts.map((part) => files.filter((file) => isOverlapping(file, part)));
  const release = context.pins.pin(wanted.flat().map(({ fileId }) => fileId));
  try {
    for (const page of kept) await put(page);
  } catch (error) {
    release();
    throw error;
  }
  const relations = parts.map((part, place): Relation => {
    const ofPart = wanted[place]!;
    const pending = batches.filter(({ datasetId }) => datasetId === part.dataset.datasetId);
    const sql = relationSql(context.dataDir, part, tables[place]!, ofPart, pending);
    return { sql, rowCount: sum(ofPart) + sum(pending) };
  });
  return { relations, release };
}

function relationSql(
  dataDir: string,
  part: SnapshotPart,
  table: RowTable,
  files: readonly CatalogueFile[],
  pending: readonly PendingBatch[],
): string {
  const sources = [];
  if (pending.length > 0 || files.length === 0) sources.push(rowTableSelect(table));
  if (files.length > 0) sources.push(readDatasetFiles(dataDir, part.dataset, part.features, files));
  // Only where it leaves something out: comparing ten million times to no effect is work as well.
  const { fromEventTime, toEventTime } = part;
  const conditions: string[] = [];
  if (fromEventTime !== undefined && [...files, ...pending].some((some) => some.minEventTime < fromEventTime)) {
    conditions.push(`event_time >= make_timestamp(${fromEventTime})`);
  }
  if (toEventTime !== undefined && [...files, ...pending].some((some) => some.maxEventTime > toEventTime)) {
    conditions.push(`event_time <= make_timestamp(${toEventTime})`);
  }
  const where = conditions.length === 0 ? "" : ` WHERE ${conditions.join(" AND ")}`;
  return `(SELECT * FROM (${sources.join(" UNION ALL ")})${where})`;
}

function isWanted(batch: PendingBatch, parts: readonly SnapshotPart[]): boolean {
  return parts.some(
    ({ dataset, toEventTime = Number.POSITIVE_INFINITY, fromEventTime = Number.NEGATIVE_INFINITY }) =>
      dataset.datasetId === batch.datasetId && batch.minEventTime <= toEventTime && batch.maxEventTime >= fromEventTime,
  );
}

function isOverlapping(file: CatalogueFile, part: SnapshotPart): boolean {
  const { dataset, fromEventTime = Number.NEGATIVE_INFINITY, toEventTime = Number.POSITIVE_INFINITY } = part;
  return file.datasetId === dataset.datasetId && file.minEventTime <= toEventTime && file.maxEventTime >= fromEventTime;
}

function sum(items: readonly { readonly rowCount: number }[]): number {
  return items.reduce((total, { rowCount }) => total + rowCount, 0);
}
