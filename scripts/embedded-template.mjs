/**
 * Runs after an install: initialises an empty embedded database in .embedded/postgres, so that a
 * first start only copies it. Without it a first start initialises its own, which takes seconds.
 *
 * Plain JavaScript, because an install may run under Node 18 and later.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const template = join(root, ".embedded", "postgres");
const versionFile = join(root, ".embedded", "version");

try {
  const { version } = JSON.parse(
    readFileSync(join(root, "node_modules", "@electric-sql", "pglite", "package.json"), "utf8"),
  );
  if (read(versionFile) !== version) await make(version);
} catch (error) {
  // An install must not fail for want of speed.
  console.error(`The embedded database's template could not be made: ${error.message}`);
}

async function make(version) {
  const { PGlite } = await import("@electric-sql/pglite");
  rmSync(join(root, ".embedded"), { recursive: true, force: true });
  mkdirSync(dirname(template), { recursive: true });
  const unfinished = `${template}.new`;
  const engine = await PGlite.create({ dataDir: unfinished });
  await engine.close();
  renameSync(unfinished, template);
  writeFileSync(versionFile, version);
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
