/** `npm run build`: TypeScript to JavaScript in dist/, laid out like the repository, with the files that are read at run time. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const compiled = spawnSync(join(root, "node_modules/.bin/tsc"), ["--project", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);

for (const path of ["protos", "schema", "package.json"])
  cpSync(join(root, path), join(dist, path), { recursive: true });
// Lua and SQL beside the code.
for (const path of readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })) {
  if (!/\.(lua|sql|json|html|css|proto)$/.test(path)) continue;
  mkdirSync(join(dist, "src", dirname(path)), { recursive: true });
  cpSync(join(root, "src", path), join(dist, "src", path));
}
