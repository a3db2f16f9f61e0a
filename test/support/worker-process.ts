import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { eventually } from "./eventually.ts";

const SCRIPTS = {
  /** Leases one task, keeps it alive, and completes it when told to. */
  one: fileURLToPath(new URL("./worker-process-one.ts", import.meta.url)),
  /** Enqueues and works as fast as it may, and says what was acknowledged. */
  load: fileURLToPath(new URL("./worker-process-load.ts", import.meta.url)),
};

/** A client of the gateway in a process of its own, which tells what it does in JSON lines. */
export interface WorkerProcess<Told> {
  readonly told: readonly Told[];
  /** Resolves with the first line for which `isIt` holds. */
  waitFor(what: string, isIt: (line: Told) => boolean, timeoutMs?: number): Promise<Told>;
  /** Gives it a word; it reads it when it runs. */
  say(word: string): void;
  signal(signal: NodeJS.Signals): void;
  /** Ends it, also while it is stopped. */
  remove(): Promise<void>;
}

/** Starts a script; `options` is what the script says it takes. */
export function startWorkerProcess<Told>(script: keyof typeof SCRIPTS, options: object): WorkerProcess<Told> {
  const child = spawn(process.execPath, [SCRIPTS[script], JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { PATH: process.env.PATH },
  });
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("close", () => resolve());
  }).then(() => {
    process.removeListener("exit", killAtExit);
  });
  const told: Told[] = [];
  let rest = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    told.push(...lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Told));
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors = (errors + text).slice(-4_000);
  });
  // Words for a process that has ended are of no use to anybody.
  child.stdin.on("error", () => {});

  return {
    told,
    waitFor: (what, isIt, timeoutMs = 20_000) =>
      eventually(
        what,
        () => {
          const line = told.find(isIt);
          if (line === undefined && child.exitCode) throw new Error(`The worker process failed.\n${errors}`);
          return line;
        },
        timeoutMs,
      ),
    say(word) {
      child.stdin.write(`${word}\n`);
    },
    signal(signal) {
      child.kill(signal);
    },
    async remove() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}
