import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");
const pinnedVersion = JSON.parse(readFileSync(join(root, "node_modules/node/package.json"), "utf8")).version as string;

/** A project with the runner in it and nothing else of ours. */
let project: string;

beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), "tarl-run-"));
  for (const folder of ["scripts/lib", "src"]) mkdirSync(join(project, folder), { recursive: true });
  for (const file of ["scripts/run.mjs", "scripts/lib/find-node.mjs", "package.json", "package-lock.json"]) {
    copyFileSync(join(root, file), join(project, file));
  }
});

afterEach(() => rmSync(project, { recursive: true, force: true }));

function linkModules(): void {
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
}

function writeMain(text: string): void {
  writeFileSync(join(project, "src/main.ts"), text);
}

/** Starts the runner; `said` resolves with the first thing it prints, `ended` with all of it and how it ended. */
function start(args: string[], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(project, "scripts/run.mjs"), ...args], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  }
  const said = once(child.stdout, "data");
  const ended = once(child, "close").then(([code]) => ({ code: code as number, output }));
  return { child, said, ended };
}

test("runs TypeScript under the pinned Node, with arguments, and answers its exit code", async () => {
  linkModules();
  writeMain("const args: string[] = process.argv.slice(2); console.log(process.version, ...args); process.exit(7);");
  expect(await start(["src/main.ts", "a b", "--c"]).ended).toEqual({ code: 7, output: `v${pinnedVersion} a b --c\n` });
});

test("runs a tool of node_modules", async () => {
  linkModules();
  const { code, output } = await start(["vitest", "--version"]).ended;
  expect({ code, output }).toEqual({ code: 0, output: expect.stringMatching(/^vitest\/\d/) });
});

test.each(["SIGTERM", "SIGINT"] as const)("passes %s on, once, and waits for the end", async (signal) => {
  linkModules();
  writeMain(`
    let count = 0;
    process.on("${signal}", () => { count += 1; setImmediate(() => { console.log("drained", count); process.exit(3); }); });
    setInterval(() => {}, 1000);
    console.log("ready");
  `);
  const { child, said, ended } = start(["src/main.ts"]);
  await said;
  child.kill(signal);
  expect(await ended).toEqual({ code: 3, output: "ready\ndrained 1\n" });
});

test("a child that was killed is not taken for one that succeeded", async () => {
  linkModules();
  writeMain('process.kill(process.pid, "SIGKILL");');
  expect((await start(["src/main.ts"]).ended).code).toBe(137);
});

test("installs first where nothing is installed, and says so when that fails", async () => {
  writeMain('console.log("started");');
  const npm = join(project, "npm-cli.js");
  const modules = JSON.stringify(join(root, "node_modules"));
  writeFileSync(
    npm,
    `const { symlinkSync } = require("node:fs");
     console.error(process.argv.slice(2).join(" "));
     if (process.env.FAKE_FAILURE) process.exit(5);
     symlinkSync(${modules}, ${JSON.stringify(join(project, "node_modules"))});`,
  );
  // The project is ESM and npm is not.
  writeFileSync(join(project, "package.json"), "{}");

  const failed = await start(["src/main.ts"], { npm_execpath: npm, FAKE_FAILURE: "1" }).ended;
  expect(failed.code).toBe(5);
  expect(failed.output).toContain("could not be installed");

  const installed = await start(["src/main.ts"], { npm_execpath: npm }).ended;
  expect(installed.code).toBe(0);
  expect(installed.output).toContain("ci --include=dev");
  expect(installed.output).toMatch(/started\n$/);
});

test("takes the machine's own Node where npm's install scripts were blocked", async () => {
  mkdirSync(join(project, "node_modules"));
  writeFileSync(join(project, "package-lock.json"), '{"packages":{}}');
  writeFileSync(join(project, "node_modules/.package-lock.json"), '{"packages":{}}');
  writeMain("console.log(process.execPath);");
  // vitest runs under a Node that is new enough.
  expect(await start(["src/main.ts"]).ended).toEqual({ code: 0, output: `${process.execPath}\n` });
});
