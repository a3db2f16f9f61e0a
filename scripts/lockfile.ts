/**
 * Keeps package-lock.json usable everywhere: no registry's address in it (`.npmrc` asks npm for that), and an
 * entry for every optional platform package, also for those that the machine that wrote it could not see, since
 * `npm ci` refuses a lock file without them.
 *
 *   npm run lockfile              says what is wrong, and fails
 *   npm run lockfile -- --fix     mends it
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fixLockfile, type Lockfile, lockfileProblems } from "./lib/lockfile-rules.ts";

const path = new URL("../package-lock.json", import.meta.url);
const lockfile = JSON.parse(readFileSync(path, "utf8")) as Lockfile;

if (process.argv.includes("--fix")) {
  writeFileSync(path, `${JSON.stringify(fixLockfile(lockfile), null, 2)}\n`);
} else {
  const problems = lockfileProblems(lockfile);
  for (const problem of problems) console.error(`package-lock.json: ${problem}`);
  if (problems.length > 0) console.error("Mend it with: npm run lockfile -- --fix");
  process.exitCode = problems.length > 0 ? 1 : 0;
}
