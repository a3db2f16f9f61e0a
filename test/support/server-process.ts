import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";

const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 10_000;
const OUTPUT_KEPT_CHARACTERS = 4_000;

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** What the server writes when it is ready. */
  readonly readyText: string;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** What ends it in an orderly way; SIGTERM where absent. */
  readonly stopSignal?: NodeJS.Signals;
}

/** A child process that this process started, and so may end. */
export interface ServerProcess {
  readonly pid: number;
  isRunning(): boolean;
  stop(): Promise<void>;
  /** Ends it as a power cut would, with SIGKILL. */
  kill(): Promise<void>;
}

/** Starts a server and waits until it says that it is ready. */
export async function startServer(server: ServerCommand): Promise<ServerProcess> {
  const child = spawn(server.command, server.args, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, LC_ALL: "C" },
    ...(server.uid === undefined ? {} : { uid: server.uid }),
    ...(server.gid === undefined ? {} : { gid: server.gid }),
  });
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const ended = new Promise<void>((resolve) => {
    child.once("error", () => resolve());
    child.once("exit", () => resolve());
  }).then(() => {
    process.removeListener("exit", killAtExit);
    watchdog?.kill("SIGKILL");
  });
  const watchdog = child.pid === undefined ? undefined : startWatchdog(child.pid);
  await waitUntilReady(child, server);

  const isRunning = () => child.exitCode === null && child.signalCode === null;
  const end = async (signal: NodeJS.Signals) => {
    if (isRunning()) child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await ended;
    clearTimeout(timer);
  };
  return {
    pid: child.pid!,
    isRunning,
    stop: () => end(server.stopSignal ?? "SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}

/** Kills the server when this process is itself killed: then the pipe that the watchdog reads from ends. */
function startWatchdog(pid: number): ChildProcess {
  // Detached, so that a signal to the whole group (Ctrl-C, timeout) does not end it first.
  return spawn("sh", ["-c", `cat; kill -9 ${pid}`], { stdio: ["pipe", "ignore", "ignore"], detached: true });
}

function waitUntilReady(child: ChildProcess, server: ServerCommand): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = (why: string) => {
      clearTimeout(timer);
      child.kill("SIGKILL");
      reject(new Error(`${server.command} ${why}. Its last output:\n${output}`));
    };
    const timer = setTimeout(() => fail(`was not ready after ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    const read = (chunk: Buffer) => {
      output = (output + chunk.toString("utf8")).slice(-OUTPUT_KEPT_CHARACTERS);
      if (!output.includes(server.readyText)) return;
      clearTimeout(timer);
      resolve();
    };
    // The listeners stay, so that a talkative server never blocks on a full pipe.
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("error", (error) => fail(`could not be started: ${error.message}`));
    child.once("exit", (code, signal) => fail(`ended with ${signal ?? code}`));
  });
}

/** A port of 127.0.0.1 that nothing listens on at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
