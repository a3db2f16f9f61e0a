import { rm } from "node:fs/promises";
import type { Clock } from "../../../core/clock.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import type { FileFolder } from "./file-folder.ts";
import { expireFiles, knownFileIds } from "./file-store.ts";

const BATCH = 100;
/** What nobody knows of and nobody has written to for so long was left behind by a gateway that died. */
const LEFT_BEHIND_AFTER_MS = 24 * 3_600_000;

export interface FileUpkeepOptions {
  readonly database: Queryable;
  readonly folder: FileFolder;
  readonly clock: Clock;
}

/** Deletes files whose time is over, and content that belongs to none. */
export async function purgeFiles({ database, folder, clock }: FileUpkeepOptions, signal: AbortSignal): Promise<void> {
  for (let count = BATCH; count === BATCH && !signal.aborted; ) {
    const expired = await expireFiles(database, BATCH);
    for (const { namespace, fileId } of expired) await folder.remove(namespace, fileId);
    count = expired.length;
  }
  let candidates: { fileId: string; path: string }[] = [];
  const removeUnknown = async () => {
    const known = await knownFileIds(
      database,
      candidates.map(({ fileId }) => fileId),
    );
    for (const { fileId, path } of candidates) if (!known.has(fileId)) await rm(path, { force: true });
    candidates = [];
  };
  for await (const file of folder.olderThan(clock.now() - LEFT_BEHIND_AFTER_MS)) {
    if (signal.aborted) return;
    candidates.push(file);
    if (candidates.length === BATCH) await removeUnknown();
  }
  if (candidates.length > 0) await removeUnknown();
}
