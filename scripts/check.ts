/** `npm run check`: everything that can be said about the code without running it, two steps at a time. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Why the step does not apply here, if it does not. */
  readonly skip?: string | undefined;
}

const root = resolve(import.meta.dirname, "..");
const PARALLEL = 2;
const MAX_LINES_SHOWN = 100;

function tool(name: string): string {
  return resolve(root, "node_modules/.bin", name);
}

function script(name: string, ...args: string[]): string[] {
  return [process.execPath, resolve(root, "scripts", name), ...args];
}

/** `buf breaking` compares with the last commit, so it needs one that holds protos. */
function whyNotBreaking(): string | undefined {
  if (!existsSync(resolve(root, ".git"))) return "this is not a git checkout";
  const found = spawnSync("git", ["cat-file", "-e", "HEAD:protos/buf.yaml"], { cwd: root, stdio: "ignore" });
  return found.status === 0 ? undefined : "the last commit holds no protos";
}

// The slowest first, so that the two lanes end together.
const steps: readonly Step[] = [
  { name: "types", command: [tool("tsc"), "--noEmit"] },
  { name: "lint and format", command: [tool("biome"), "check", "--colors=off"] },
  { name: "contract is what the operations emit", command: script("contract.ts", "--check") },
  { name: "import rule and cycles", command: script("boundaries.ts") },
  { name: "protos (buf lint)", command: [tool("buf"), "lint", "protos"] },
  {
    name: "protos stay compatible (buf breaking)",
    command: [tool("buf"), "breaking", "protos", "--against", ".git#ref=HEAD,subdir=protos"],
    skip: whyNotBreaking(),
  },
  { name: "docs/configuration.md is up to date", command: script("configuration-docs.ts", "--check") },
  { name: "package-lock.json works everywhere", command: script("lockfile.ts") },
];

async function runStep(step: Step): Promise<boolean> {
  if (step.skip !== undefined) {
    console.log(`- ${step.name}: not applicable, ${step.skip}`);
    return true;
  }
  const startedAt = performance.now();
  const [file, ...args] = step.command as [string, ...string[]];
  const { code, output } = await runQuietly(file, args);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${code === 0 ? "✓" : "✗"} ${step.name} (${seconds} s)`);
  if (code !== 0) console.log(excerpt(output));
  return code === 0;
}

function excerpt(output: string): string {
  const lines = output.trimEnd().split("\n");
  const shown = lines.slice(0, MAX_LINES_SHOWN);
  if (lines.length > shown.length) shown.push(`… and ${lines.length - shown.length} more lines`);
  return shown.map((line) => `    ${line}`).join("\n");
}

function runQuietly(file: string, args: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((done) => {
    const child = spawn(file, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    child.on("error", (error) => done({ code: 1, output: `${output}${error.message}` }));
    child.on("close", (code) => done({ code: code ?? 1, output }));
  });
}

async function runAll(): Promise<Step[]> {
  const queue = [...steps];
  const failed: Step[] = [];
  const lane = async () => {
    for (let step = queue.shift(); step !== undefined; step = queue.shift()) {
      if (!(await runStep(step))) failed.push(step);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
  return failed;
}

const failed = await runAll();
console.log(
  failed.length === 0
    ? `check: all ${steps.length} steps passed`
    : `check: ${failed.length} of ${steps.length} steps failed: ${failed.map(({ name }) => name).join(", ")}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
