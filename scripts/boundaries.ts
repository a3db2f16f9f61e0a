/** Checks who imports whom in src/ (see docs/architecture.md), and that nothing imports itself in a circle. */
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { importCycles } from "./lib/import-cycles.ts";
import { importViolations } from "./lib/import-rule.ts";

const root = resolve(import.meta.dirname, "..");
const files = new Map<string, string>();
for (const folder of ["src", "test", "bench", "scripts"]) {
  for (const name of readdirSync(resolve(root, folder), { recursive: true, encoding: "utf8" }).sort()) {
    const path = `${folder}/${name.replaceAll("\\", "/")}`;
    if (path.endsWith(".ts")) files.set(path, readFileSync(resolve(root, path), "utf8"));
  }
}

const problems = [...importViolations(files), ...importCycles(files).map((cycle) => `cycle: ${cycle}`)];
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
