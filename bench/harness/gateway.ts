import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bench } from "./bench.ts";
import { type Child, PRODUCTION, startChild } from "./child.ts";

export const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
/** Any free port for each protocol. */
export const FREE_PORTS = { TARL_REST_PORT: "0", TARL_GRAPHQL_PORT: "0", TARL_GRPC_PORT: "0" } as const;
/** Far above what one core answers, and yet a limit: the limiter counts every request. */
const RATE_LIMIT_PER_MINUTE = 6_000_000;

export interface Addresses {
  readonly rest: string;
  readonly graphql: string;
  /** host:port */
  readonly grpc: string;
}

/** A gateway in a process of its own, on the server's core, with authentication and rate limits on. */
export interface BenchGateway extends Addresses {
  readonly pid: number;
  /** Of a namespace that has a rate limit; an admin of that namespace. */
  readonly key: string;
  readonly namespace: string;
}

export interface GatewayOptions {
  /** The case it runs for, which names the folder of its profile. */
  readonly name: string;
  readonly databaseUrl: string;
}

/** Starts a gateway on Postgres and Redis that ends with the case. */
export async function startGateway(bench: Bench, { name, databaseUrl }: GatewayOptions): Promise<BenchGateway> {
  const { cores, redis } = bench;
  const dir = bench.createFolder();
  const child = await launchGateway({
    dir,
    cores: cores?.server,
    env: { TARL_DATABASE_URL: databaseUrl, TARL_REDIS_URL: redis.url },
    nodeArgs: await profileArgs(bench, name),
  });
  bench.defer(() => child.stop());
  const adminKey = readAdminKey(dir);
  return { ...child.ready, pid: child.pid, ...(await createTenant(child.ready.rest, adminKey, "bench")) };
}

/** Another gateway on the same stores, known by the same keys. */
export async function startSecondGateway(
  bench: Bench,
  first: BenchGateway,
  options: GatewayOptions,
): Promise<BenchGateway> {
  const child = await launchGateway({
    dir: bench.createFolder(),
    cores: bench.cores?.server,
    env: { TARL_DATABASE_URL: options.databaseUrl, TARL_REDIS_URL: bench.redis.url },
    nodeArgs: await profileArgs(bench, options.name),
  });
  bench.defer(() => child.stop());
  return { ...first, ...child.ready, pid: child.pid };
}

export interface LaunchOptions {
  readonly dir: string;
  readonly cores: string | undefined;
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeArgs?: readonly string[];
}

/** Runs `node src/main.ts` in the folder and waits until it is ready. */
export function launchGateway({ dir, cores, env = {}, nodeArgs = [] }: LaunchOptions): Promise<Child<Addresses>> {
  return startChild({
    command: process.execPath,
    args: [...nodeArgs, MAIN],
    cwd: dir,
    env: { ...PRODUCTION, ...FREE_PORTS, ...env },
    ready: parseReadyLog,
    cores,
  });
}

/** The addresses in the log line that says the gateway is ready. */
export function parseReadyLog(line: string): Addresses | undefined {
  if (!line.includes('"The gateway is ready."')) return undefined;
  return JSON.parse(line) as Addresses;
}

function readAdminKey(dir: string): string {
  return readFileSync(join(dir, "data", "admin.key"), "utf8").trim();
}

async function profileArgs({ options }: Bench, name: string): Promise<string[]> {
  if (options.profileDir === undefined) return [];
  const dir = resolve(options.profileDir, name);
  await mkdir(dir, { recursive: true });
  return ["--cpu-prof", `--cpu-prof-dir=${dir}`];
}

/** A namespace with a rate limit, and a key of it. */
async function createTenant(rest: string, adminKey: string, name: string) {
  const post = async (path: string, body: object) => {
    const response = await fetch(`${rest}/v1${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${adminKey}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`POST ${path} answered ${response.status}: ${await response.text()}`);
    return (await response.json()) as { readonly secret: string };
  };
  await post("/namespaces", { name, quotas: { rateLimitPerMinute: RATE_LIMIT_PER_MINUTE } });
  const { secret } = await post(`/namespaces/${name}/keys`, { displayName: "bench", roles: ["admin"] });
  return { namespace: name, key: secret };
}
