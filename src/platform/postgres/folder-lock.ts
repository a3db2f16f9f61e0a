import { readFileSync } from "node:fs";
import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { z } from "zod";
import { AppError } from "../../core/errors.ts";

export interface FolderLock {
  release(): Promise<void>;
}

/** Who holds a folder, as written in the lock file. */
const Holder = z.object({ pid: z.int(), host: z.string(), startedAt: z.string() });
type Holder = z.infer<typeof Holder>;

/** The holder touches its file this often, for readers on another host or in another container, who cannot see its process. */
const TOUCH_EVERY_MS = 3_000;
const ABANDONED_AFTER_MS = 15_000;

/**
 * Claims a folder for this process by a file beside it, `<folder>.lock`: two engines on one folder
 * would destroy it. The file of a process that died is taken over.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = `${folder}.lock`;
  const self: Holder = { pid: process.pid, host: hostname(), startedAt: processStart("self") };
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
    if (holder && (await isAlive(path, holder))) throw folderInUse(heldMessage(folder, path, holder));
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
    `(TARL_DATA_DIR) or a Postgres that both can use (TARL_DATABASE_URL). The lock is the file ${path}.`
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

async function isAlive(path: string, holder: Holder): Promise<boolean> {
  if (holder.host !== hostname()) return (await ageMs(path)) < ABANDONED_AFTER_MS;
  // Containers give the same pid to each new process, so the pid alone does not say who it is.
  if (holder.startedAt !== "" && processStart(holder.pid) !== holder.startedAt) return false;
  try {
    process.kill(holder.pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

async function ageMs(path: string): Promise<number> {
  const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: 0 }));
  return Date.now() - mtimeMs;
}

/** When a process was started, in the kernel's ticks since boot, where the system tells; else an empty text. */
function processStart(pid: number | "self"): string {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command's name may hold spaces; the fields after it do not. starttime is the 22nd of all.
    return line.slice(line.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
