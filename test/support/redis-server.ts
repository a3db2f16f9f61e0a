import { execFile } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

const run = promisify(execFile);

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** E.g. SIGSTOP, and later SIGCONT. */
  signal(name: NodeJS.Signals): void;
  /** Starts it again, killed or not, on the same port and folder; it is empty then unless it was told to keep its data. */
  restart(): Promise<void>;
}

export interface RedisServerOptions {
  /** Redis settings such as `{ appendonly: "yes" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether it speaks TLS and nothing else; its certificate is named in the settings. */
  readonly tls?: boolean;
}

/** Starts a private Redis on a free port with a temporary folder. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const command = await findRedisBinary();
  const dir = mkdtempSync(join(tmpdir(), "tarl-redis-"));
  const port = await freePort();
  const settings = {
    ...(options.tls ? { port: "0", "tls-port": String(port) } : { port: String(port) }),
    bind: "127.0.0.1",
    dir,
    save: "",
    appendonly: "no",
    databases: "64",
    ...options.settings,
  };
  const start = () =>
    startServer({
      command,
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      readyText: "Ready to accept connections",
    });

  let server: ServerProcess = await start();
  return {
    url: `${options.tls ? "rediss" : "redis"}://127.0.0.1:${port}`,
    port,
    async stop() {
      await server.stop();
      await rm(dir, { recursive: true, force: true });
    },
    kill: () => server.kill(),
    signal: (name) => void process.kill(server.pid, name),
    async restart() {
      await server.stop();
      server = await start();
    },
  };
}

/** The server's program: from the PATH, else installed where that is possible without asking anybody. */
export async function findRedisBinary(): Promise<string> {
  const found = onPath("redis-server") ?? onPath("valkey-server");
  if (found) return found;
  if (process.getuid?.() === 0 && existsSync("/etc/debian_version")) {
    await run("apt-get", ["install", "--yes", "--no-install-recommends", "redis-server"], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    }).catch(() => undefined);
    const installed = onPath("redis-server");
    if (installed) return installed;
  }
  throw new Error(
    "The tests need a Redis: install redis-server or valkey-server so that it is on the PATH " +
      "(Debian: apt-get install redis-server, macOS: brew install redis).",
  );
}

function onPath(name: string): string | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
    }
  }
  return undefined;
}
