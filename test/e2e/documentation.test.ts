import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, dirname, resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type GatewayProcess, showGatewaysOnFailure, startGateway } from "../support/gateway-process.ts";

const ROOT = resolve(import.meta.dirname, "../..");
/** Commands that show a refusal on purpose, by what they ask for. */
const REFUSED_ON_PURPOSE = ["LEASE_LOST", "LEASE_HELD"];

let gateway: GatewayProcess;

showGatewaysOnFailure();
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.remove());

/** The shell commands of a page, from `heading` on, as somebody would paste them. */
function commandsOf(page: string, heading = ""): string {
  const text = readFileSync(resolve(ROOT, page), "utf8");
  const from = heading === "" ? text : text.slice(text.indexOf(heading), text.indexOf("\n## Then"));
  return [...from.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, commands]) => commands).join("\n");
}

/** Runs commands with the gateway's own ports in place of the usual ones. */
function paste(commands: string): Promise<{ code: number | null; output: string }> {
  const script = commands
    .replaceAll("http://127.0.0.1:8080", gateway.rest)
    .replaceAll("http://127.0.0.1:4000/graphql", gateway.graphql)
    .replaceAll("127.0.0.1:50051", gateway.grpc)
    .replaceAll("npx buf", "buf");
  const path = [resolve(ROOT, "node_modules/.bin"), dirname(process.execPath), process.env.PATH].join(delimiter);
  const shell = spawn("bash", ["-euo", "pipefail", "-c", script], {
    cwd: gateway.dir,
    env: { ...process.env, PATH: path },
  });
  let output = "";
  for (const stream of [shell.stdout, shell.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((done) => shell.on("close", (code) => done({ code, output })));
}

function problemsIn(output: string): string[] {
  return [...output.matchAll(/"reason": ?"([A-Z_]+)"/g)]
    .map(([, reason]) => reason!)
    .filter((reason) => !REFUSED_ON_PURPOSE.includes(reason));
}

test("the README's tour works when it is pasted", async () => {
  // A stream that is cut by its --max-time is what the tour wants, and curl calls it an error.
  const { code, output } = await paste(
    commandsOf("README.md", "## A first tour").replace("&\nsleep 1", "|| true &\nsleep 1"),
  );
  expect(output).toContain('"reason":"LEASE_LOST"');
  expect(output).toContain('"greeting":"Hello, Ada"');
  expect(output).toContain(`"type":"ENQUEUED"`);
  expect(problemsIn(output)).toEqual([]);
  expect(code, output).toBe(0);
});

test.each(["docs/tasks.md", "docs/leases.md", "docs/tenancy.md", "docs/features.md"])(
  "the commands of %s work when they are pasted",
  async (page) => {
    const { code, output } = await paste(commandsOf(page));
    expect(problemsIn(output), output).toEqual([]);
    expect(code, output).toBe(0);
  },
);
