/**
 * Runs a script or a tool of this project under the Node that the `node` package pins, so that it makes no
 * difference which Node the machine has. Installs the dependencies first where they are missing or stale.
 *
 *   node scripts/run.mjs src/main.ts …      a script
 *   node scripts/run.mjs vitest run …       a tool from node_modules
 *
 * Plain JavaScript, because it has to run on Node 18 and later.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { join, resolve } from "node:path";
import { environmentFor, findNode, root } from "./lib/find-node.mjs";

main(process.argv.slice(2));

function main([target, ...args]) {
  if (target === undefined) fail("Usage: node scripts/run.mjs <script or tool> [arguments]");
  if (!isInstalled()) install();
  const node = findNodeOrFail();
  run(node, [...(target.includes("/") ? [resolve(root, target)] : [findTool(target)]), ...args]);
}

/** Whether node_modules holds what package-lock.json asks for; packages for other platforms may be absent. */
function isInstalled() {
  const installed = readLockfile(join("node_modules", ".package-lock.json"));
  const wanted = readLockfile("package-lock.json");
  if (installed === undefined) return false;
  return Object.entries(wanted ?? {}).every(([path, { version, optional }]) => {
    if (path === "") return true;
    const present = installed[path];
    return present === undefined ? optional === true : present.version === version;
  });
}

function readLockfile(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8")).packages;
  } catch {
    return undefined;
  }
}

function install() {
  console.error("Installing the dependencies (npm ci). This happens once.");
  // The pinned Node is a development dependency, so NODE_ENV=production must not leave it out.
  const args = ["ci", "--include=dev", "--loglevel=error"];
  const npmCli = process.env.npm_execpath;
  const npm = npmCli?.endsWith(".js") && npmCli.includes("npm") ? [process.execPath, npmCli] : ["npm"];
  const result = spawnSync(npm[0], [...npm.slice(1), ...args], {
    cwd: root,
    // Installing is not what the caller's output is about.
    stdio: ["ignore", 2, 2],
    shell: npm.length === 1 && process.platform === "win32",
  });
  if (result.error) fail(`npm could not be started: ${result.error.message}`);
  if (result.status !== 0) fail("The dependencies could not be installed; npm says why above.", result.status ?? 1);
}

function findNodeOrFail() {
  try {
    return findNode();
  } catch (error) {
    return fail(error.message);
  }
}

/** The JavaScript file behind a tool's name. */
function findTool(name) {
  const folder = join(root, "node_modules", name);
  if (!existsSync(folder)) return fail(`There is no tool called ${name} in node_modules.`);
  const { bin } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  return join(folder, typeof bin === "string" ? bin : bin[name]);
}

function run(node, args) {
  const child = spawn(node, args, { stdio: "inherit", env: environmentFor(node) });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => {
      // A terminal sends Ctrl-C to the child itself; sent twice, it would mean "at once".
      if (!(signal === "SIGINT" && process.stdin.isTTY)) child.kill(signal);
    });
  }
  child.on("error", (error) => fail(`${node} could not be started: ${error.message}`));
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal ?? ""] ?? 0)));
}

function fail(message, code = 1) {
  console.error(message);
  process.exit(code);
}
