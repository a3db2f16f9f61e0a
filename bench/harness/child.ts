import { spawn } from "node:child_process";

/** Libraries check more without it, Express and graphql-js among them; all measured servers run with it. */
export const PRODUCTION = { NODE_ENV: "production" } as const;

const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 30_000;
const OUTPUT_KEPT_CHARACTERS = 6_000;

export interface ChildOptions<Ready> {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Looks into each line it writes; the first answer means that it is ready. */
  readonly ready: (line: string) => Ready | undefined;
  /** As `taskset -c` writes it; absent: where this process runs. */
  readonly cores?: string | undefined;
  /** Makes it the leader of a process group, and signals go to all of that. */
  readonly group?: boolean;
}

/** A process that this one started, and so may end. */
export interface Child<Ready> {
  readonly pid: number;
  /** What it said when it was ready. */
  readonly ready: Ready;
  /** From the start to that. */
  readonly startMs: number;
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  onExit(listener: () => void): void;
  /** SIGTERM, and SIGKILL where that does not help. */
  stop(): Promise<void>;
}

/** Starts a process, on a core of its own where `cores` says so, and waits until it is ready. */
export async function startChild<Ready>(options: ChildOptions<Ready>): Promise<Child<Ready>> {
  const { cores, group = false } = options;
  const startedMs = performance.now();
  const [command, args] = cores
    ? ["taskset", ["-c", cores, options.command, ...options.args]]
    : [options.command, [...options.args]];
  const child = spawn(command, args, {
    ...(options.cwd && { cwd: options.cwd }),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...options.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    detached: group,
  });
  const signal = (name: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (group) process.kill(-child.pid!, name);
    else child.kill(name);
  };
  const killAtExit = () => signal("SIGKILL");
  process.once("exit", killAtExit);
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  });

  const ready = await new Promise<Ready>((resolve, reject) => {
    let output = "";
    let line = "";
    let isReady = false;
    const fail = (why: string) => {
      clearTimeout(timer);
      signal("SIGKILL");
      reject(new Error(`${options.command} ${options.args.join(" ")} ${why}. Its last output:\n${output}`));
    };
    const timer = setTimeout(() => fail(`was not ready after ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      if (isReady) return;
      output = (output + text).slice(-OUTPUT_KEPT_CHARACTERS);
      const lines = (line + text).split("\n");
      line = lines.pop() ?? "";
      for (const whole of lines) {
        const answer = options.ready(whole);
        if (answer === undefined) continue;
        isReady = true;
        clearTimeout(timer);
        resolve(answer);
        return;
      }
    });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      if (isReady) process.stderr.write(text);
      else output = (output + text).slice(-OUTPUT_KEPT_CHARACTERS);
    });
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("exit", (code, by) => fail(`ended with ${by ?? code}`));
  });
  const startMs = performance.now() - startedMs;

  return {
    pid: child.pid!,
    ready,
    startMs,
    send: (message) => void child.send(message),
    onMessage: (listener) => void child.on("message", listener),
    onExit: (listener) => void child.once("exit", listener),
    async stop() {
      signal("SIGTERM");
      const timer = setTimeout(() => signal("SIGKILL"), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(timer);
      process.removeListener("exit", killAtExit);
    },
  };
}

/** For a child that says it is ready with one line of JSON. */
export function parseReadyLine<Ready>(line: string): Ready | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Ready;
  } catch {
    return undefined;
  }
}
