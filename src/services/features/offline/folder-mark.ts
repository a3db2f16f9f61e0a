import { link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../../../core/errors.ts";
import type { IdGenerator } from "../../../core/ids.ts";
import type { Duckdb } from "../../../platform/duckdb/duckdb.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";

/** Lies in the folder of the feature files and says which database they belong to. */
export const MARK_FILE = ".tarl-features";

export interface FolderMarkOptions {
  readonly database: Queryable;
  readonly dataDir: string;
  readonly ids: IdGenerator;
}

/** Resolves where the folder is the one that all gateways of this database share, and throws where it is another. */
export type CheckFolder = () => Promise<void>;

/**
 * Gateways that share a database must share the folder of feature files too: in another folder they
 * would miss the files of the others, and take those of another database for leftovers. So the
 * first gateway puts a mark into the folder and into the database, and the rest look for it.
 */
export function createFolderCheck(options: FolderMarkOptions): CheckFolder {
  let checked: Promise<void> | undefined;
  return () => {
    checked ??= check(options).catch((error: unknown) => {
      // A folder that is mounted later is looked at again.
      checked = undefined;
      throw error;
    });
    return checked;
  };
}

/** Lets nothing near the files before the folder has been checked. */
export function guardFolder(duckdb: Duckdb, checkFolder: CheckFolder): Duckdb {
  return {
    async use(work, signal) {
      await checkFolder();
      return duckdb.use(work, signal);
    },
    async *iterate(work, signal) {
      await checkFolder();
      yield* duckdb.iterate(work, signal);
    },
    close: () => duckdb.close(),
  };
}

async function check({ database, dataDir, ids }: FolderMarkOptions): Promise<void> {
  const known = await readKnownMark(database);
  const found = await readFolderMark(dataDir);
  if (known === undefined) {
    const mark = found ?? (await markFolder(dataDir, ids.uuid()));
    await database.query("INSERT INTO feature_folder (mark) VALUES ($1) ON CONFLICT DO NOTHING", [mark]);
    if ((await readKnownMark(database)) === mark) return;
  } else if (found === known) return;
  throw new AppError(
    "FAILED_PRECONDITION",
    "FEATURES_FOLDER_NOT_SHARED",
    "This gateway's folder of feature files is not the one that belongs to its database. Set TARL_FEATURES_DIR to the folder that the other gateways use.",
  );
}

async function readKnownMark(database: Queryable): Promise<string | undefined> {
  return (await database.query<{ mark: string }>("SELECT mark FROM feature_folder", [])).rows[0]?.mark;
}

async function readFolderMark(dataDir: string): Promise<string | undefined> {
  try {
    return (await readFile(join(dataDir, MARK_FILE), "utf8")).trim();
  } catch (error) {
    if ((error as { code?: string }).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Answers the mark that the folder has afterwards: another gateway may be first. */
async function markFolder(dataDir: string, mark: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const target = join(dataDir, MARK_FILE);
  const written = `${target}-${mark}`;
  await writeFile(written, `${mark}\n`);
  try {
    // A link appears with all that is in it, so nobody ever reads half a mark.
    await link(written, target);
    return mark;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code !== "EEXIST") {
      // A file system without links: the mark is written in place.
      await writeFile(target, `${mark}\n`, { flag: "wx" });
      return mark;
    }
    return (await readFolderMark(dataDir)) ?? mark;
  } finally {
    await rm(written, { force: true });
  }
}
