import { posix } from "node:path";
import { importsOf, type SourceFiles } from "./import-rule.ts";

/** One cycle for each group of files that import each other, as `a.ts → b.ts → a.ts`. Types count too. */
export function importCycles(files: SourceFiles): string[] {
  const cycles: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];

  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].join(" → "));
    if (start >= 0 || done.has(path)) return;
    trail.push(path);
    for (const target of targetsOf(path, files)) visit(target);
    trail.pop();
    done.add(path);
  };

  for (const path of files.keys()) visit(path);
  return cycles;
}

function targetsOf(path: string, files: SourceFiles): string[] {
  const targets = importsOf(files.get(path) ?? "")
    .filter(({ specifier }) => specifier.startsWith("."))
    .map(({ specifier }) => posix.join(posix.dirname(path), specifier));
  return [...new Set(targets)].filter((target) => files.has(target));
}
