import { writeFile } from "node:fs/promises";
import { batchCases } from "./cases/batches.ts";
import { featureIngestCase } from "./cases/feature-ingest.ts";
import { featureJoinCase } from "./cases/feature-join.ts";
import { featureReadsCase } from "./cases/feature-reads.ts";
import { featureSingleCase } from "./cases/feature-single.ts";
import { getTaskCases } from "./cases/get-task.ts";
import { memoryCases } from "./cases/memory-call.ts";
import { singleTasksCase } from "./cases/single-tasks.ts";
import { startCase } from "./cases/start.ts";
import { wakeUpCase } from "./cases/wake-up.ts";
import { type Case, openBench } from "./harness/bench.ts";
import { describeMachine } from "./harness/machine.ts";
import { type BenchOptions, readOptions, USAGE } from "./harness/options.ts";
import { renderTable } from "./harness/report.ts";
import type { Row } from "./harness/row.ts";

const CASES: readonly Case[] = [
  ...memoryCases,
  ...getTaskCases,
  ...batchCases,
  wakeUpCase,
  singleTasksCase,
  featureReadsCase,
  featureSingleCase,
  featureIngestCase,
  featureJoinCase,
  startCase,
];

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === "help") return void process.stdout.write(USAGE);
  if (options === "list") return void process.stdout.write(`${CASES.map(({ name }) => name).join("\n")}\n`);
  const chosen = chooseCases(options);
  const bench = await openBench(options);
  const rows: Row[] = [];
  try {
    const machine = await describeMachine(bench);
    for (const [index, one] of chosen.entries()) {
      bench.progress(`${one.name} (${index + 1} of ${chosen.length})`);
      try {
        rows.push(...(await bench.run(one)));
      } catch (error) {
        // The others' figures are worth having all the same.
        console.error(`${one.name} failed:`, error);
        process.exitCode = 1;
      }
    }
    process.stdout.write(`${machine.map((line) => `- ${line}`).join("\n")}\n\n${renderTable(rows)}\n`);
    if (options.jsonFile !== undefined) {
      const { seconds, rounds } = options;
      const figures = { measuredAt: new Date().toISOString(), machine, seconds, rounds, rows };
      await writeFile(options.jsonFile, `${JSON.stringify(figures, undefined, 2)}\n`);
    }
  } finally {
    await bench.close();
  }
}

function chooseCases({ only }: BenchOptions): readonly Case[] {
  const chosen = CASES.filter(({ name, onlyWhenNamed = false }) =>
    only.length === 0 ? !onlyWhenNamed : only.some((prefix) => name.startsWith(prefix)),
  );
  const names = CASES.map(({ name }) => name).join(", ");
  if (chosen.length === 0) throw new Error(`No case is called ${only.join(" or ")}. There are: ${names}.`);
  return chosen;
}

// A child is ended when this process exits, which a signal alone does not make it do.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
try {
  await main();
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
