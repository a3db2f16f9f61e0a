import type { Bench } from "./bench.ts";
import { readCpuSeconds } from "./cores.ts";
import { type Figure, figureOf, percentile } from "./figures.ts";

/** One of the two servers of a comparison, with as many callers as there shall be calls under way. */
export interface Side {
  readonly name: string;
  /** The server's process. */
  readonly pid: number;
  /** Each makes one call and resolves with its answer; it rejects where the answer is not the wanted one. */
  readonly callers: readonly (() => Promise<unknown>)[];
}

/** One side over all rounds. */
export interface SideFigures {
  readonly name: string;
  readonly perSecond: Figure;
  readonly perCpuSecond: Figure | undefined;
  /** How much of its core the server used. */
  readonly cpuPercent: number | undefined;
}

export interface Comparison {
  readonly ours: SideFigures;
  readonly bare: SideFigures;
  /** The median of the rounds' ratios, ours by bare. */
  readonly ratio: Figure;
  readonly ratioPerCpu: number | undefined;
}

interface Sample {
  readonly perSecond: number;
  readonly perCpuSecond: number | undefined;
  readonly cpuShare: number | undefined;
}

const WARM_UP_ROUNDS = 1;
/** Short, so that a neighbour who comes and goes meets both sides. */
const TURN_SECONDS = 0.25;

/** Loads the two by turns, so that whatever else the machine does meets both, and takes medians. */
export async function compare(bench: Bench, ours: Side, bare: Side): Promise<Comparison> {
  const { seconds, rounds } = bench.options;
  const samples: { ours: Sample; bare: Sample }[] = [];
  for (let round = -WARM_UP_ROUNDS; round < rounds; round += 1) {
    const sample = await measureRound(ours, bare, seconds);
    if (round < 0) continue;
    samples.push(sample);
    const rate = (side: Sample) => Math.round(side.perSecond).toLocaleString("en");
    bench.progress(`  round ${round + 1}: ${ours.name} ${rate(sample.ours)}/s, ${bare.name} ${rate(sample.bare)}/s`);
  }
  const ratiosPerCpu = samples.flatMap(({ ours, bare }) =>
    ours.perCpuSecond && bare.perCpuSecond ? [ours.perCpuSecond / bare.perCpuSecond] : [],
  );
  return {
    ours: summarize(
      ours.name,
      samples.map((sample) => sample.ours),
    ),
    bare: summarize(
      bare.name,
      samples.map((sample) => sample.bare),
    ),
    ratio: figureOf(samples.map((sample) => sample.ours.perSecond / sample.bare.perSecond)),
    ratioPerCpu: ratiosPerCpu.length > 0 ? percentile(ratiosPerCpu, 0.5) : undefined,
  };
}

/** Loads both for so long, in short turns. */
async function measureRound(ours: Side, bare: Side, seconds: number): Promise<{ ours: Sample; bare: Sample }> {
  const turns = Math.max(1, Math.round(seconds / TURN_SECONDS));
  const sums: [Turn, Turn] = [NOTHING, NOTHING];
  for (let turn = 0; turn < turns; turn += 1) {
    sums[0] = add(sums[0], await measureTurn(ours, seconds / turns));
    sums[1] = add(sums[1], await measureTurn(bare, seconds / turns));
  }
  return { ours: sampleOf(sums[0]), bare: sampleOf(sums[1]) };
}

interface Turn {
  readonly calls: number;
  readonly elapsedSeconds: number;
  /** NaN where it is not known. */
  readonly cpuSeconds: number;
}

const NOTHING: Turn = { calls: 0, elapsedSeconds: 0, cpuSeconds: 0 };

async function measureTurn({ pid, callers }: Side, seconds: number): Promise<Turn> {
  const cpuBefore = readCpuSeconds(pid) ?? Number.NaN;
  const startedMs = performance.now();
  const calls = await callFor(callers, seconds);
  const elapsedSeconds = (performance.now() - startedMs) / 1000;
  return { calls, elapsedSeconds, cpuSeconds: (readCpuSeconds(pid) ?? Number.NaN) - cpuBefore };
}

function add(a: Turn, b: Turn): Turn {
  return {
    calls: a.calls + b.calls,
    elapsedSeconds: a.elapsedSeconds + b.elapsedSeconds,
    cpuSeconds: a.cpuSeconds + b.cpuSeconds,
  };
}

function sampleOf({ calls, elapsedSeconds, cpuSeconds }: Turn): Sample {
  return {
    perSecond: calls / elapsedSeconds,
    perCpuSecond: cpuSeconds > 0 ? calls / cpuSeconds : undefined,
    cpuShare: Number.isNaN(cpuSeconds) ? undefined : cpuSeconds / elapsedSeconds,
  };
}

/** Has each caller call again and again, the next time when the last is answered; answers how many calls were made. */
export async function callFor(callers: Side["callers"], seconds: number): Promise<number> {
  let isOver = false;
  let calls = 0;
  const timer = setTimeout(() => {
    isOver = true;
  }, seconds * 1000);
  const loop = async (call: () => Promise<unknown>) => {
    while (!isOver) {
      await call();
      calls += 1;
    }
  };
  try {
    await Promise.all(callers.map(loop));
  } finally {
    isOver = true;
    clearTimeout(timer);
  }
  return calls;
}

function summarize(name: string, samples: readonly Sample[]): SideFigures {
  const perCpuSecond = samples.flatMap((sample) => sample.perCpuSecond ?? []);
  const shares = samples.flatMap((sample) => sample.cpuShare ?? []);
  return {
    name,
    perSecond: figureOf(samples.map((sample) => sample.perSecond)),
    perCpuSecond: perCpuSecond.length > 0 ? figureOf(perCpuSecond) : undefined,
    cpuPercent: shares.length > 0 ? Math.round(percentile(shares, 0.5) * 100) : undefined,
  };
}
