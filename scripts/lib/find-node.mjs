/** Plain JavaScript, like everything that runs before the right Node was found: it has to work on Node 18 and later. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "..", "..");
/** The oldest Node that runs TypeScript files as they are. */
const OLDEST = [22, 18];

/** The pinned Node if it is there and is what its package says, else the machine's own if it is new enough, else throws. */
export function findNode() {
  const pinned = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  if (process.execPath === pinned) return pinned;
  const problem = problemWith(pinned);
  if (problem === undefined) return pinned;
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return process.execPath;
  throw new Error(
    `The pinned Node ${problem}, and this machine's own is ${process.version}, older than ${OLDEST.join(".")}.\n` +
      "Run `npm rebuild node --ignore-scripts=false`, or install Node 24.",
  );
}

function problemWith(node) {
  if (!existsSync(node)) return "is not installed (were npm's install scripts blocked?)";
  const { version } = JSON.parse(readFileSync(join(root, "node_modules", "node", "package.json"), "utf8"));
  const answer = spawnSync(node, ["--version"], { encoding: "utf8" });
  if (answer.status !== 0) return "does not run on this machine";
  return answer.stdout.trim() === `v${version}` ? undefined : `is ${answer.stdout.trim()} where ${version} is wanted`;
}

/** What a process under that Node gets: it and the tools first on the path, and a place for what Node compiles, which takes a quarter off the next start. */
export function environmentFor(node) {
  const path = [dirname(node), join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter);
  return {
    ...process.env,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || join(root, "node_modules", ".cache", "compile"),
    PATH: path,
  };
}
