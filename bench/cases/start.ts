import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Bench, Case } from "../harness/bench.ts";
import { type Child, startChild } from "../harness/child.ts";
import { readResidentMegabytes, readTreeCpuSeconds } from "../harness/cores.ts";
import { figureOf, percentile } from "../harness/figures.ts";
import { type Addresses, FREE_PORTS, launchGateway, parseReadyLog } from "../harness/gateway.ts";
import type { Row } from "../harness/row.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STARTS = 5;
const TARGET_MS = 2_000;
const IDLE_MS = 10_000;

interface Start {
  readonly ms: number;
  /** Of npm, the script and the gateway until then. */
  readonly cpuPercent: number | undefined;
}

/** From `npm start` on an installed tree to ready, and what the gateway takes while nobody calls. */
export const startCase: Case = {
  name: "start",
  async run(bench) {
    const firstStarts: Start[] = [];
    for (let count = 0; count < STARTS; count += 1) firstStarts.push(await measureStart(bench, bench.createFolder()));
    const folder = bench.createFolder();
    await measureStart(bench, folder);
    const laterStarts: Start[] = [];
    for (let count = 0; count < STARTS; count += 1) laterStarts.push(await measureStart(bench, folder));
    bench.progress(`  first starts ${listTimes(firstStarts)} ms, later ones ${listTimes(laterStarts)} ms`);

    const stores = { TARL_DATABASE_URL: await bench.createDatabase(), TARL_REDIS_URL: bench.redis.url };
    const [embedded, external] = await measureIdleMegabytes(bench, [{}, stores]);
    return [
      startRow("`npm start` to ready, the data folder is there", laterStarts),
      startRow("`npm start` to ready, first start", firstStarts),
      ...memoryRow("embedded", embedded),
      ...memoryRow("Postgres and Redis", external),
    ];
  },
};

/** As a person starts it: through npm, on whichever core. */
async function measureStart(bench: Bench, folder: string): Promise<Start> {
  const child: Child<Addresses> = await startChild({
    command: "npm",
    args: ["start"],
    cwd: ROOT,
    env: { ...FREE_PORTS, TARL_DATA_DIR: join(folder, "data"), NPM_CONFIG_UPDATE_NOTIFIER: "false" },
    ready: parseReadyLog,
    cores: bench.cores?.all,
    group: true,
  });
  const cpuSeconds = readTreeCpuSeconds(child.pid);
  const answer = await fetch(`${child.ready.rest}/readyz`);
  if (!answer.ok) throw new Error(`The gateway said it is ready, and /readyz answered ${answer.status}.`);
  await child.stop();
  const { startMs } = child;
  return { ms: startMs, cpuPercent: cpuSeconds === undefined ? undefined : (cpuSeconds / startMs) * 100_000 };
}

/** The memory of gateways that were left alone for a while, all at the same time. */
async function measureIdleMegabytes(bench: Bench, environments: readonly object[]): Promise<(number | undefined)[]> {
  const gateways = await Promise.all(
    environments.map((env) => {
      const dir = bench.createFolder();
      mkdirSync(join(dir, "data"));
      return launchGateway({ dir, cores: bench.cores?.all, env: { ...env } });
    }),
  );
  for (const gateway of gateways) bench.defer(() => gateway.stop());
  await delay(IDLE_MS);
  return gateways.map(({ pid }) => readResidentMegabytes(pid));
}

function startRow(what: string, starts: readonly Start[]): Row {
  const gateway = figureOf(starts.map(({ ms }) => ms));
  const cpu = starts.flatMap(({ cpuPercent }) => cpuPercent ?? []);
  return {
    case: "start",
    what,
    unit: "ms",
    gateway,
    ...(cpu.length > 0 && { gatewayCpuPercent: Math.round(percentile(cpu, 0.5)) }),
    target: `< ${TARGET_MS.toLocaleString("en")} ms`,
    met: gateway.median < TARGET_MS,
  };
}

function listTimes(starts: readonly Start[]): string {
  return starts.map(({ ms }) => Math.round(ms)).join(", ");
}

function memoryRow(what: string, megabytes: number | undefined): Row[] {
  if (megabytes === undefined) return [];
  return [
    {
      case: "start",
      what: `Memory (RSS) after ${IDLE_MS / 1000} s without a call, ${what}`,
      unit: "MiB",
      gateway: { median: megabytes, low: megabytes, high: megabytes },
    },
  ];
}
