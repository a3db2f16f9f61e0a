import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach } from "vitest";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
/** Long, for a machine that does much else at the same time. */
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 35_000;
const OUTPUT_KEPT_CHARACTERS = 200_000;
const OUTPUT_SHOWN_CHARACTERS = 6_000;
/** Below what Linux gives to outgoing connections, so that none of them takes a port between a stop and a restart. */
const FIRST_PORT = 12_000;
const LAST_PORT = 32_000;

export type Environment = Readonly<Record<string, string>>;

/** How a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A gateway in a process of its own, on three ports that stay the same over restarts. */
export interface GatewayProcess {
  readonly pid: number;
  /** The folder it runs in; its data is in `data` unless told otherwise. */
  readonly dir: string;
  readonly rest: string;
  readonly graphql: string;
  /** host:port */
  readonly grpc: string;
  /** Read from the file that its first start wrote. */
  readonly adminKey: string;
  /** Everything it has written, over all its starts. */
  output(): string;
  /** Its log lines, parsed. */
  logLines(): Record<string, unknown>[];
  signal(signal: NodeJS.Signals): void;
  /** Resolves when the running process has ended. */
  ended(): Promise<Ending>;
  /** SIGTERM; it must end with 0. */
  stop(): Promise<void>;
  /** SIGKILL; the folder stays. */
  kill(): Promise<void>;
  /** Starts it again on the same folder and ports, after ending it where it still runs. */
  restart(environment?: Environment): Promise<void>;
  /** Ends it whatever it does and removes its folder. */
  remove(): Promise<void>;
}

export interface GatewayProcessOptions {
  /** More TARL_ variables. */
  readonly environment?: Environment;
  /** A folder that is there already; it is not removed then. */
  readonly dir?: string;
}

/** A process that may never become ready: what it wrote and how it ended. */
export interface MainRun extends Ending {
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ending>;
  hasEnded(): boolean;
}

interface Addresses {
  readonly rest: string;
  readonly graphql: string;
  readonly grpc: string;
}

const gateways = new Set<GatewayProcess>();

/** Starts a gateway and waits until it says that it is ready. */
export async function startGateway(options: GatewayProcessOptions = {}): Promise<GatewayProcess> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "tarl-gateway-"));
  const ports = await portEnvironment();
  let output = "";
  let outputOfStart = "";
  let environment = options.environment ?? {};
  const keep = (text: string) => {
    output = (output + text).slice(-OUTPUT_KEPT_CHARACTERS);
    outputOfStart = (outputOfStart + text).slice(-OUTPUT_KEPT_CHARACTERS);
  };
  const launch = () => {
    outputOfStart = "";
    return spawnMain(dir, { ...ports, ...environment }, keep);
  };

  let running = launch();
  let addresses = await waitUntilReady(running, () => outputOfStart);

  const end = async (signal: NodeJS.Signals): Promise<Ending> => {
    if (!running.hasEnded()) running.child.kill(signal);
    const timer = setTimeout(() => running.child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    const ending = await running.ended;
    clearTimeout(timer);
    return ending;
  };
  const gateway: GatewayProcess = {
    dir,
    get pid() {
      return running.child.pid!;
    },
    get rest() {
      return addresses.rest;
    },
    get graphql() {
      return addresses.graphql;
    },
    get grpc() {
      return addresses.grpc;
    },
    get adminKey() {
      return readFileSync(environment.TARL_ADMIN_KEY_FILE ?? join(dir, "data", "admin.key"), "utf8").trim();
    },
    output: () => output,
    logLines: () => parseLogLines(output),
    signal(signal) {
      running.child.kill(signal);
    },
    ended: () => running.ended,
    async stop() {
      const ending = await end("SIGTERM");
      if (ending.code !== 0) throw new Error(`The gateway ended with ${describe(ending)}.\n${tail(output)}`);
    },
    async kill() {
      await end("SIGKILL");
    },
    async restart(changed) {
      await end("SIGKILL");
      environment = { ...environment, ...changed };
      running = launch();
      addresses = await waitUntilReady(running, () => outputOfStart);
    },
    async remove() {
      await end("SIGKILL");
      gateways.delete(gateway);
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
  gateways.add(gateway);
  return gateway;
}

/** Runs the gateway's entry where it is expected to end by itself. */
export async function runMain(dir: string, environment: Environment, ...parameters: string[]): Promise<MainRun> {
  let stdout = "";
  let stderr = "";
  const take = (text: string, from: "stdout" | "stderr") => {
    if (from === "stdout") stdout += text;
    else stderr += text;
  };
  const running = spawnMain(dir, environment, take, parameters);
  const timer = setTimeout(() => running.child.kill("SIGKILL"), START_TIMEOUT_MS);
  const ending = await running.ended;
  clearTimeout(timer);
  return { ...ending, stdout, stderr };
}

/** Writes what this file's gateways said after each test that failed. Call it once at the top of a file. */
export function showGatewaysOnFailure(): void {
  afterEach(({ task }) => {
    if (task.result?.state !== "fail") return;
    for (const gateway of gateways) console.error(`The gateway at ${gateway.rest} said:\n${tail(gateway.output())}`);
  });
}

function spawnMain(
  dir: string,
  environment: Environment,
  onOutput: (text: string, from: "stdout" | "stderr") => void,
  parameters: readonly string[] = [],
): Running {
  const child = spawn(process.execPath, [MAIN, ...parameters], {
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, HOME: dir, ...environment },
  });
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  let ending: Ending | undefined;
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once("error", reject);
    // "close" comes after the last output, "exit" may come before it.
    child.once("close", (code, signal) => {
      process.removeListener("exit", killAtExit);
      ending = { code, signal };
      resolve(ending);
    });
  });
  for (const from of ["stdout", "stderr"] as const) {
    child[from].setEncoding("utf8");
    child[from].on("data", (text: string) => onOutput(text, from));
  }
  return { child, ended, hasEnded: () => ending !== undefined };
}

/** Resolves with the addresses of its log line, and rejects when it ends before. */
function waitUntilReady(running: Running, output: () => string): Promise<Addresses> {
  return new Promise((resolve, reject) => {
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      running.child.stdout?.off("data", look);
      settle();
    };
    const fail = (why: string) =>
      finish(() => {
        running.child.kill("SIGKILL");
        reject(new Error(`The gateway ${why}.\n${tail(output())}`));
      });
    const look = () => {
      const line = parseLogLines(output()).find(({ msg }) => msg === "The gateway is ready.");
      if (line) finish(() => resolve(line as unknown as Addresses));
    };
    const timer = setTimeout(() => fail(`was not ready after ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    running.child.stdout?.on("data", look);
    running.ended.then(
      (ending) => fail(`ended with ${describe(ending)} before it was ready`),
      (error: Error) => fail(`could not be started: ${error.message}`),
    );
  });
}

function parseLogLines(output: string): Record<string, unknown>[] {
  return output.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      // The last line may not be whole yet.
      return [];
    }
  });
}

function describe({ code, signal }: Ending): string {
  return signal ?? `exit code ${code}`;
}

function tail(output: string): string {
  return output.slice(-OUTPUT_SHOWN_CHARACTERS);
}

async function portEnvironment(): Promise<Environment> {
  const ports = new Set<number>();
  while (ports.size < 3) ports.add(await restartablePort());
  const [rest, graphql, grpc] = [...ports].map(String) as [string, string, string];
  return { TARL_REST_PORT: rest, TARL_GRAPHQL_PORT: graphql, TARL_GRPC_PORT: grpc };
}

/** A port that nothing listens on and that no outgoing connection will take. */
export async function restartablePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
