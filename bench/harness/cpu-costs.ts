import type { Bench } from "./bench.ts";
import { callFor, type Side } from "./compare.ts";
import { readTreeCpuByName } from "./cores.ts";

/** The CPU time that each process spent on one thing, in microseconds, by the process's name. */
export type CpuCosts = ReadonlyMap<string, number>;

export interface CostsOptions {
  /** How many things one call does, e.g. rows of a batch; 1 where absent. */
  readonly perCall?: number;
  /** What that thing is called. */
  readonly thing: string;
}

/**
 * Loads one side alone and divides the CPU time of everything that works for it by what was done:
 * a busy machine lowers calls a second, but hardly changes this. Empty where there is no /proc.
 */
export async function measureCpuCosts(
  bench: Bench,
  { pid, callers }: Side,
  { perCall = 1, thing }: CostsOptions,
): Promise<CpuCosts> {
  const names = new Map([
    [pid, "gateway"],
    [process.pid, "load generator"],
  ]);
  const before = readTreeCpuByName(process.pid, names);
  const calls = await callFor(callers, bench.options.seconds * 2);
  const after = readTreeCpuByName(process.pid, names);
  const costs = new Map<string, number>();
  for (const [name, seconds] of after) {
    const micros = ((seconds - (before.get(name) ?? 0)) * 1e6) / (calls * perCall);
    if (micros > 0) costs.set(name, micros);
  }
  const texts = [...costs].map(([name, micros]) => `${name} ${micros.toFixed(micros < 20 ? 2 : 0)} µs`);
  bench.progress(`  CPU time of one ${thing}: ${texts.join(", ")}`);
  return costs;
}
