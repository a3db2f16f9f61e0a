import type { Dirent } from "node:fs";
import { readdir, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { SPILL_FOLDER } from "../../../platform/duckdb/duckdb.ts";
import { fileIdOf, GROUPS_FOLDER, insideOf } from "./dataset-folder.ts";
import { claimOrphans, forgetFiles, knownFiles, listReplacedFiles } from "./file-catalogue.ts";
import type { OfflineContext } from "./offline-context.ts";
import type { RunOptions } from "./offline-store.ts";

const MAX_AT_ONCE = 1000;
/** What a process that died had spilled is no use to anybody; one that lives writes more often than this. */
const SPILL_AGE_MS = 24 * 60 * 60_000;

/**
 * Removes files that were replaced a while ago, and those that a process left behind that died
 * before it made them part of a dataset.
 */
export async function removeLeftovers(context: OfflineContext, { signal }: RunOptions = {}): Promise<number> {
  const hidden = await claimAbandonedFiles(context, signal);
  await removeAbandonedSpill(context);
  return hidden + (await removeReplacedFiles(context, signal));
}

async function removeReplacedFiles(
  { database, clock, dataDir, limits, pins }: OfflineContext,
  signal: AbortSignal | undefined,
): Promise<number> {
  let removed = 0;
  for (;;) {
    signal?.throwIfAborted();
    const files = await listReplacedFiles(database, clock.now() - limits.graceMs, MAX_AT_ONCE);
    const free = files.filter(({ fileId }) => !pins.isPinned(fileId));
    for (const { path } of free) {
      const absolute = insideOf(dataDir, path);
      await rm(absolute, { force: true });
      // The day's folder, where nothing is left in it.
      await rmdir(dirname(absolute)).catch(() => {});
    }
    if (free.length > 0)
      await forgetFiles(
        database,
        free.map(({ fileId }) => fileId),
      );
    removed += free.length;
    if (files.length < MAX_AT_ONCE || free.length === 0) return removed;
  }
}

/** Enters abandoned files as replaced; removes those at once that were never finished, and answers how many these were. */
async function claimAbandonedFiles(
  { database, clock, dataDir, limits }: OfflineContext,
  signal: AbortSignal | undefined,
): Promise<number> {
  let removed = 0;
  let candidates: { fileId: string; path: string }[] = [];
  const claim = async () => {
    const known = await knownFiles(
      database,
      candidates.map(({ fileId }) => fileId),
    );
    const orphans = candidates.filter(({ fileId }) => !known.has(fileId));
    if (orphans.length > 0) await claimOrphans(database, orphans);
    candidates = [];
  };
  for await (const entry of walk(join(dataDir, GROUPS_FOLDER))) {
    signal?.throwIfAborted();
    const file = fileIdOf(entry.name);
    const absolute = join(entry.parentPath, entry.name);
    if (file === undefined || !(await isOlder(absolute, clock.now() - limits.orphanAgeMs))) continue;
    if (file.hidden) {
      await rm(absolute, { force: true });
      removed += 1;
    } else {
      candidates.push({ fileId: file.fileId, path: relative(dataDir, absolute) });
      if (candidates.length === MAX_AT_ONCE) await claim();
    }
  }
  if (candidates.length > 0) await claim();
  return removed;
}

async function removeAbandonedSpill({ clock, dataDir }: OfflineContext): Promise<void> {
  const folder = join(dataDir, SPILL_FOLDER);
  for (const { name } of await entriesOf(folder)) {
    const beforeMs = clock.now() - SPILL_AGE_MS;
    const parts = [
      join(folder, name),
      ...(await entriesOf(join(folder, name))).map((part) => join(folder, name, part.name)),
    ];
    const old = await Promise.all(parts.map((part) => isOlder(part, beforeMs)));
    if (old.every(Boolean)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function* walk(folder: string): AsyncGenerator<Dirent> {
  for (const entry of await entriesOf(folder)) {
    if (entry.isDirectory()) yield* walk(join(folder, entry.name));
    else if (entry.isFile()) yield entry;
  }
}

/** Nothing where the folder is not there, or not any more. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch(() => []);
}

async function isOlder(path: string, beforeMs: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && found.mtimeMs < beforeMs;
}
