import type { Bench, Case } from "../harness/bench.ts";
import { readCpuSeconds, readTreeCpuSeconds } from "../harness/cores.ts";
import { figureOf, percentile } from "../harness/figures.ts";
import type { Row } from "../harness/row.ts";
import { createBullmqSystems } from "../rivals/bullmq.ts";
import { createGatewaySystems } from "../rivals/gateway.ts";
import { createPgBossSystem } from "../rivals/pg-boss.ts";
import { PRODUCERS, type TaskSystem } from "../rivals/task-system.ts";

const AT_LEAST_PER_SECOND = 10_000;
/** Producers wait where so many tasks are not completed yet. */
const MAX_BACKLOG = 10_000;
const DRAIN_TIMEOUT_MS = 60_000;
const WARM_UP_ROUNDS = 1;
const MAX_ROUNDS = 3;

/** Enqueue → lease → complete in batches of 100, beside the queues that keep the same promise. */
export const batchCases: readonly Case[] = [
  {
    name: "batches",
    async run(bench) {
      const ours = await createGatewaySystems(bench, "batches");
      const theirs = [await createPgBossSystem(bench), ...(await createBullmqSystems(bench))];
      const rates = await measureByTurns(bench, [...ours, ...theirs]);
      return ours.flatMap((system) => rowsOf(system, theirs, rates));
    },
  },
  {
    name: "gateway-batches",
    onlyWhenNamed: true,
    async run(bench) {
      const ours = await createGatewaySystems(bench, "gateway-batches");
      const rates = await measureByTurns(bench, ours);
      return ours.map((system) => rowAlone(system, rates));
    },
  },
];

interface Round {
  readonly perSecond: number;
  readonly cpuPercent: number | undefined;
  /** Of everything that is part of it: server, load, stores. */
  readonly perCpuSecond: number | undefined;
}

type Rates = ReadonlyMap<TaskSystem, readonly Round[]>;

async function measureByTurns(bench: Bench, systems: readonly TaskSystem[]): Promise<Rates> {
  const rates = new Map<TaskSystem, Round[]>(systems.map((system) => [system, []]));
  const rounds = Math.min(bench.options.rounds, MAX_ROUNDS);
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    for (const system of systems) {
      const result = await measureRound(system, bench.options.seconds * 2);
      if (round < 0) continue;
      rates.get(system)!.push(result);
      const perCpuSecond = result.perCpuSecond ? `, ${renderCount(result.perCpuSecond)} per CPU second` : "";
      bench.progress(`  round ${round + 1}: ${system.name} ${renderCount(result.perSecond)} tasks/s${perCpuSecond}`);
    }
  }
  return rates;
}

/** Produces for so long, waits until everything is completed, and divides by all of that time. */
async function measureRound(system: TaskSystem, seconds: number): Promise<Round> {
  await system.begin();
  const cpuBefore = readCpuSeconds(system.pid);
  const allBefore = readTreeCpuSeconds(process.pid);
  const startedMs = performance.now();
  const endsMs = startedMs + seconds * 1000;
  const completedBefore = system.completed();
  let enqueued = 0;
  const produce = async () => {
    while (performance.now() < endsMs) {
      if (enqueued - (system.completed() - completedBefore) > MAX_BACKLOG) {
        await pause();
        continue;
      }
      // Not `enqueued += await …`: that reads the sum before the wait, and loses what others add meanwhile.
      const count = await system.enqueueBatch();
      enqueued += count;
    }
  };
  await Promise.all(Array.from({ length: PRODUCERS }, produce));
  while (system.completed() - completedBefore < enqueued) {
    system.check();
    if (performance.now() - endsMs > DRAIN_TIMEOUT_MS) throw new Error(`${system.name} does not complete its tasks.`);
    await pause();
  }
  const elapsedSeconds = (performance.now() - startedMs) / 1000;
  const cpuAfter = readCpuSeconds(system.pid);
  const allAfter = readTreeCpuSeconds(process.pid);
  await system.end();
  return {
    perSecond: enqueued / elapsedSeconds,
    cpuPercent:
      cpuBefore === undefined || cpuAfter === undefined
        ? undefined
        : Math.round(((cpuAfter - cpuBefore) / elapsedSeconds) * 100),
    perCpuSecond: allBefore === undefined || allAfter === undefined ? undefined : enqueued / (allAfter - allBefore),
  };
}

function renderCount(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2));
}

function rowAlone(system: TaskSystem, rates: Rates): Row {
  const rounds = rates.get(system)!;
  const gateway = figureOf(rounds.map(({ perSecond }) => perSecond));
  return {
    case: "batches",
    what: `Enqueue → lease → complete in batches of 100, ${system.name}`,
    unit: "tasks/s",
    gateway,
    gatewayCpuPercent: cpuOf(rounds),
    target: `≥ ${AT_LEAST_PER_SECOND.toLocaleString("en")} tasks/s`,
    met: gateway.median >= AT_LEAST_PER_SECOND,
  };
}

function rowsOf(system: TaskSystem, others: readonly TaskSystem[], rates: Rates): Row[] {
  const alone = rowAlone(system, rates);
  const ours = rates.get(system)!;
  const beside = others.map((other): Row => {
    const theirs = rates.get(other)!;
    const ratio = figureOf(ours.map(({ perSecond }, round) => perSecond / theirs[round]!.perSecond));
    return {
      case: alone.case,
      what: alone.what,
      unit: alone.unit,
      gateway: alone.gateway,
      gatewayCpuPercent: alone.gatewayCpuPercent,
      beside: other.name,
      besideFigure: figureOf(theirs.map(({ perSecond }) => perSecond)),
      besideCpuPercent: cpuOf(theirs),
      ratio,
      ratioPerCpu: cpuRatio(ours, theirs),
      ...(other.isAsDurable && { target: "> 1 ×", met: ratio.median > 1 }),
    };
  });
  return [alone, ...beside];
}

/** Tasks for each second of CPU time that all processes of it used, by turns. */
function cpuRatio(ours: readonly Round[], theirs: readonly Round[]): number | undefined {
  const ratios = ours.flatMap(({ perCpuSecond }, round) => {
    const other = theirs[round]?.perCpuSecond;
    return perCpuSecond && other ? [perCpuSecond / other] : [];
  });
  return ratios.length > 0 ? percentile(ratios, 0.5) : undefined;
}

function cpuOf(rounds: readonly Round[]): number | undefined {
  const known = rounds.flatMap(({ cpuPercent }) => cpuPercent ?? []);
  return known.length > 0 ? Math.round(percentile(known, 0.5)) : undefined;
}
