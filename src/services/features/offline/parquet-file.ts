import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { DuckdbSession } from "../../../platform/duckdb/session.ts";
import { quoteName, quotePath, quoteText } from "../../../platform/duckdb/sql-text.ts";
import type { Dataset } from "../values/dataset.ts";
import { columnType } from "./columns.ts";
import { hiddenPath, insideOf } from "./dataset-folder.ts";
import type { CatalogueFile } from "./file-catalogue.ts";
import { fileColumns, keyList } from "./row-table.ts";

/** Smaller groups let a reader of few entities skip more, since rows are sorted by entity. */
const ROW_GROUP_ROWS = 122_880;

export const PARQUET_OPTIONS = `FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS}, USE_TMP_FILE false`;
export const CSV_OPTIONS = "FORMAT csv, HEADER true, USE_TMP_FILE false";

/** Copies the answer of a query to a file that is there whole or not at all, also after the power went. */
export async function copyToFile(
  session: DuckdbSession,
  dataDir: string,
  file: { readonly select: string; readonly path: string; readonly options: string },
): Promise<{ readonly rowCount: number; readonly sizeBytes: number }> {
  const path = insideOf(dataDir, file.path);
  const hidden = hiddenPath(path);
  const folder = dirname(path);
  const made = await mkdir(folder, { recursive: true });
  try {
    const [counted] = await session.rows(`COPY (${file.select}) TO ${quoteText(hidden)} (${file.options})`);
    await syncToDisk(hidden);
    const { size } = await stat(hidden);
    await rename(hidden, path);
    await syncToDisk(folder);
    if (made !== undefined)
      for (let at = folder; at.length >= made.length; at = dirname(at)) await syncToDisk(dirname(at));
    return { rowCount: Number(counted![0]), sizeBytes: size };
  } catch (error) {
    await rm(hidden, { force: true });
    throw error;
  }
}

/** Rows of a dataset, with columns k0, f0 and so on, as one of its files, sorted by entity. */
export async function writeDatasetFile(
  session: DuckdbSession,
  dataDir: string,
  file: {
    readonly dataset: Dataset;
    readonly features: readonly number[];
    readonly rows: string;
    readonly path: string;
  },
): Promise<{ readonly rowCount: number; readonly sizeBytes: number }> {
  const { dataset, features, rows, path } = file;
  const select = `SELECT ${fileColumns(dataset, features)} FROM (${rows})
    ORDER BY ${keyList(dataset)}, event_time, created_at, write_sequence`;
  return copyToFile(session, dataDir, { select, path, options: PARQUET_OPTIONS });
}

/** A query for the rows of some files, with columns k0, f0 and so on; a feature that no file has yet is null. */
export function readDatasetFiles(
  dataDir: string,
  dataset: Dataset,
  features: readonly number[],
  files: readonly CatalogueFile[],
): string {
  const counts = files.map(({ featureCount }) => featureCount);
  const known = Math.max(...counts);
  const differ = Math.min(...counts) < known;
  const columns = [
    ...dataset.entityKeys.map(({ name }, index) => `${quoteName(name)} AS k${index}`),
    ...features.map((index) => {
      const { name, type } = dataset.features[index]!;
      return index < known
        ? `${quoteName(name)} AS f${index}`
        : `CAST(NULL AS ${columnType(type).sqlType}) AS f${index}`;
    }),
    "event_time",
    "created_at",
    "write_sequence",
  ];
  const paths = files.map(({ path }) => quotePath(insideOf(dataDir, path)));
  // A folder named day=… must not be taken for a column of its own.
  return `SELECT ${columns.join(", ")}
    FROM read_parquet([${paths.join(", ")}], union_by_name = ${differ}, hive_partitioning = false)`;
}

async function syncToDisk(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
