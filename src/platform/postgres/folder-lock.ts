import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";
import { z } from "zod";
import { AppError } from "../../core/errors.ts";
import { findProcess } from "./folder-lock-process.ts";

export interface FolderLock {
  release(): Promise<void>;
}

/** Who holds a folder, as written in the lock file. */
const Holder = z.object({ pid: z.int(), host: z.string(), startedAt: z.string() });
type Holder = z.infer<typeof Holder>;

/** The holder touches its file this often, for readers on another host or in another container, who cannot see its process. */
const TOUCH_EVERY_MS = 3_000;
const ABANDONED_AFTER_MS = 15_000;
/** A process that was killed with much memory takes a moment to be gone. */
const ENDING_WITHIN_MS = 1_000;
const LOOK_EVERY_MS = 50;

/**
 * Claims a folder for this process by a file beside it, `<folder>.lock`: two engines on one folder
 * would destroy it. The file of a process that died is taken over.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = `${folder}.lock`;
  const self: Holder = {
    pid: process.pid,
    host: hostname(),
    startedAt: (await findProcess(process.pid))?.startedAt ?? "",
  };
  if (!(await create(path, self))) await takeOver(folder, path, self);

  const timer = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {});
  }, TOUCH_EVERY_MS);
  timer.unref();
  return {
    async release() {
      clearInterval(timer);
      await rm(path, { force: true });
    },
  };
}

async function create(path: string, holder: Holder): Promise<boolean> {
  try {
    await writeFile(path, JSON.stringify(holder), { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Replaces the lock of a dead process. A second file lets only one process at a time decide that. */
async function takeOver(folder: string, path: string, self: Holder): Promise<void> {
  const decision = `${path}.takeover`;
  if (!(await create(decision, self))) {
    if ((await ageMs(decision)) < ABANDONED_AFTER_MS) {
      throw folderInUse(openingMessage(folder));
    }
    await writeFile(decision, JSON.stringify(self));
  }
  try {
    const holder = await readHolder(path);
    if (holder === undefined && (await ageMs(path)) < ABANDONED_AFTER_MS) throw folderInUse(openingMessage(folder));
    if (holder && (await staysAlive(path, holder))) throw folderInUse(heldMessage(folder, path, holder));
    const fresh = `${path}.${process.pid}`;
    await writeFile(fresh, JSON.stringify(self), { mode: 0o600 });
    await rename(fresh, path);
  } finally {
    await rm(decision, { force: true });
  }
}

function folderInUse(message: string): AppError {
  return new AppError("UNAVAILABLE", "DATA_FOLDER_IN_USE", message);
}

const openingMessage = (folder: string) =>
  `Another process is just opening the data folder ${folder}. Try again in ${ABANDONED_AFTER_MS / 1000} seconds.`;

function heldMessage(folder: string, path: string, holder: Holder): string {
  const where = holder.host === hostname() ? `process ${holder.pid}` : `process ${holder.pid} on ${holder.host}`;
  return (
    `The data folder ${folder} is in use by ${where}. Stop that process, or give this one a folder of its own ` +
    `(TARL_DATA_DIR) or a Postgres that both can use (TARL_DATABASE_URL). The lock is the file ${path}; remove it if ` +
    "that process is no gateway."
  );
}

async function readHolder(path: string): Promise<Holder | undefined> {
  const text = await readFile(path, "utf8").catch(() => "");
  try {
    return Holder.parse(JSON.parse(text));
  } catch {
    // It is being written, or a crash between creating and writing left it empty.
    return undefined;
  }
}

/** Whether the holder is alive, and still is after the time that a killed one takes to be gone. */
async function staysAlive(path: string, holder: Holder): Promise<boolean> {
  for (let waitedMs = 0; await isAlive(path, holder); waitedMs += LOOK_EVERY_MS) {
    const mayBeEnding = holder.host === hostname() && holder.pid !== process.pid;
    if (!mayBeEnding || waitedMs >= ENDING_WITHIN_MS) return true;
    await setTimeout(LOOK_EVERY_MS);
  }
  return false;
}

async function isAlive(path: string, holder: Holder): Promise<boolean> {
  if (holder.host !== hostname()) return (await ageMs(path)) < ABANDONED_AFTER_MS;
  const found = await findProcess(holder.pid);
  if (found === undefined) return false;
  // Containers give the same pid to each new process, so the pid alone does not say who it is.
  return found.startedAt === holder.startedAt || found.startedAt === "" || holder.startedAt === "";
}

async function ageMs(path: string): Promise<number> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }));
  return Date.now() - mtimeMs;
}
