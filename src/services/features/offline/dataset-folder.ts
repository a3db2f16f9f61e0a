import { join, relative, resolve, sep } from "node:path";
import type { Dataset } from "../values/dataset.ts";
import { MICROS_PER_DAY, MICROS_PER_MS, type Micros } from "../values/micros.ts";

/** Below the data folder: everything in it belongs to the offline store. */
export const GROUPS_FOLDER = "groups";

/** What the folder of a file is called that holds rows of many days. */
const MIXED_DAYS = "mixed";

const HIDDEN = ".writing-";
const SAFE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
const FILE_NAME = /^(?:\.writing-)?(?<fileId>[0-9a-f-]{36})\.parquet$/;

/** Days since the epoch, in UTC. */
export type Day = number;

export function dayOf(eventTime: Micros): Day {
  return Math.floor(eventTime / MICROS_PER_DAY);
}

/** YYYY-MM-DD. */
export function dayText(day: Day): string {
  return new Date((day * MICROS_PER_DAY) / MICROS_PER_MS).toISOString().slice(0, 10);
}

/** Where a file of a dataset is, relative to the data folder. `day` undefined: rows of many days. */
export function filePath(dataset: Dataset, day: string | undefined, fileId: string): string {
  const { namespace, group, firstVersion, datasetId } = dataset;
  for (const name of [namespace, group]) {
    // Names are checked when they are given; a path is worth a second look.
    if (!SAFE_NAME.test(name)) throw new RangeError("A name cannot be a folder.");
  }
  return join(
    GROUPS_FOLDER,
    namespace,
    group,
    `v${firstVersion}-${datasetId}`,
    `day=${day ?? MIXED_DAYS}`,
    `${fileId}.parquet`,
  );
}

/** Where the same file is while it is being written. */
export function hiddenPath(path: string): string {
  const at = path.lastIndexOf(sep) + 1;
  return `${path.slice(0, at)}${HIDDEN}${path.slice(at)}`;
}

/** The id of a file of ours by its name, hidden or not. */
export function fileIdOf(fileName: string): { readonly fileId: string; readonly hidden: boolean } | undefined {
  const fileId = FILE_NAME.exec(fileName)?.groups?.fileId;
  return fileId === undefined ? undefined : { fileId, hidden: fileName.startsWith(HIDDEN) };
}

/** The absolute path of what should be inside of a folder; refuses what is not. */
export function insideOf(folder: string, path: string): string {
  const root = resolve(folder);
  const absolute = resolve(root, path);
  const below = relative(root, absolute);
  if (below === "" || below === ".." || below.startsWith(`..${sep}`)) {
    throw new RangeError("A path leads out of the data folder.");
  }
  return absolute;
}
