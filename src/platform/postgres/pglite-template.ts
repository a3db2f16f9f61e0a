import { createHash } from "node:crypto";
import { constants, cpSync, existsSync, readFileSync, statSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Database } from "./database.ts";
import { type Migration, migrate } from "./migrate.ts";

const OWNER_MAY_WRITE = 0o200;

/**
 * Where under `folder` a migrated, otherwise empty database lies that is right for these migrations
 * and this PGlite. Whoever changes either is led to another place, so a template is never out of date.
 */
export function pgliteTemplateDir(folder: string, migrations: readonly Migration[]): string {
  const contents = JSON.stringify([pgliteVersion(), migrations.map(({ id, name, sql }) => [id, name, sql])]);
  return join(folder, createHash("sha256").update(contents).digest("hex").slice(0, 16));
}

/** Makes the template, whole or not at all, and removes those of other versions. `open` opens a database in a new folder. */
export async function makePgliteTemplate(
  templateDir: string,
  migrations: readonly Migration[],
  open: (dataDir: string) => Promise<Database>,
): Promise<void> {
  if (isUsable(templateDir)) return;
  await rm(templateDir, { recursive: true, force: true });
  await mkdir(dirname(templateDir), { recursive: true });
  const workDir = await mkdtemp(`${templateDir}.`);
  try {
    const unfinished = join(workDir, "postgres");
    const database = await open(unfinished);
    try {
      await migrate(database, migrations);
    } finally {
      await database.close();
    }
    await openToReaders(unfinished);
    await rename(unfinished, templateDir);
  } catch (error) {
    // Another process may have made the same one meanwhile.
    if (!isUsable(templateDir)) throw error;
  } finally {
    await removeOthers(templateDir);
  }
}

/** Postgres keeps its files to their owner, but who installs need not be who runs the gateway, and here is nothing to hide. */
async function openToReaders(dir: string): Promise<void> {
  await chmod(dir, 0o755);
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    await chmod(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
  }
}

/** Clears away unfinished templates too. */
async function removeOthers(templateDir: string): Promise<void> {
  const folder = dirname(templateDir);
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    if (path !== templateDir) await rm(path, { recursive: true, force: true, maxRetries: 3 });
  }
}

/**
 * Copies the template to a `dataDir` that is not there yet: whole or not at all, a copy that was cut short is thrown
 * away by the next start. Where it cannot be copied, nothing is lost but the seconds that initialising takes.
 */
export async function copyPgliteTemplate(templateDir: string, dataDir: string): Promise<void> {
  if (existsSync(dataDir) || !isUsable(templateDir)) return;
  const unfinished = `${dataDir}.new`;
  await rm(unfinished, { recursive: true, force: true });
  try {
    // In one go: a thousand files through promises take five times as long.
    cpSync(templateDir, unfinished, { recursive: true, mode: constants.COPYFILE_FICLONE });
    await chmod(unfinished, 0o700);
    await rename(unfinished, dataDir);
  } catch {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** A copy of files that their owner may not write would not be writable either. */
function isUsable(templateDir: string): boolean {
  const version = statSync(join(templateDir, "PG_VERSION"), { throwIfNoEntry: false });
  return version !== undefined && (version.mode & OWNER_MAY_WRITE) !== 0;
}

function pgliteVersion(): string {
  const entry = createRequire(import.meta.url).resolve("@electric-sql/pglite");
  const { version } = JSON.parse(readFileSync(join(dirname(entry), "..", "package.json"), "utf8"));
  return version;
}
