import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { createDuckdb, type Duckdb } from "../../src/platform/duckdb/duckdb.ts";
import { quoteText } from "../../src/platform/duckdb/sql-text.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createPostgresDatabase } from "../../src/platform/postgres/postgres-database.ts";
import { featureMigrations } from "../../src/services/features/migrations.ts";
import { dayText, filePath } from "../../src/services/features/offline/dataset-folder.ts";
import { addFiles } from "../../src/services/features/offline/file-catalogue.ts";
import type { KnownAt } from "../../src/services/features/offline/offline-store.ts";
import { MICROS_PER_DAY } from "../../src/services/features/values/micros.ts";
import { dataset, ENTITY_ROWS, FEATURES, type JoinRun, type JoinSettings } from "../features/join-dataset.ts";
import type { Bench, Case } from "../harness/bench.ts";
import { PRODUCTION, startChild } from "../harness/child.ts";
import { figureOf, percentile } from "../harness/figures.ts";
import type { Row } from "../harness/row.ts";

const NAME = "feature-join";
const ENTITIES = 100_000;
const DAYS = 30;
const ROWS_A_DAY = 333_334;
const FIRST_DAY = Date.UTC(2027, 0, 1) / 86_400_000;
/** So long after its event a row is written. */
const LATE_MICROS = 3_000_000;
const ROUNDS = 3;
const AT_MOST = 1.5;

/**
 * A training set of a million rows, beside the ASOF join that one would write by hand over the same
 * files. Each side has a process of its own that may use all cores.
 */
export const featureJoinCase: Case = {
  name: NAME,
  async run(bench) {
    const dataDir = bench.createFolder();
    const databaseUrl = await bench.createDatabase();
    const { files, entities } = await prepare(bench, databaseUrl, dataDir);
    const settings = { dataDir, databaseUrl, files, entities };
    const ourJoin = await startJoin(bench, { ...settings, kind: "STORE", target: join(dataDir, "ours.parquet") });
    const handJoin = await startJoin(bench, { ...settings, kind: "HAND", target: join(dataDir, "hand.parquet") });

    const rows: Row[] = [];
    for (const knownAt of ["LATEST", "ENTITY_TIME"] as const) {
      const ours: JoinRun[] = [];
      const byHand: JoinRun[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        byHand.push(await handJoin(knownAt));
        ours.push(await ourJoin(knownAt));
        bench.progress(
          `  ${knownAt} round ${round + 1}: ${describe(ours.at(-1)!)}, by hand ${describe(byHand.at(-1)!)}`,
        );
      }
      rows.push(...toRows(knownAt, ours, byHand));
    }
    return rows;
  },
};

/** Writes the files and their catalogue; nothing of that stays in memory. */
async function prepare(bench: Bench, databaseUrl: string, dataDir: string) {
  const database = createPostgresDatabase({ url: databaseUrl });
  const duckdb = createDuckdb({ dataDir });
  try {
    await migrate(database, featureMigrations);
    bench.progress(`  writing ${(DAYS * ROWS_A_DAY).toLocaleString("en")} feature rows`);
    return await writeData(database, duckdb, dataDir);
  } finally {
    await duckdb.close();
    await database.close();
  }
}

/** Starts a process that joins, once for each call. */
async function startJoin(bench: Bench, settings: JoinSettings): Promise<(knownAt: KnownAt) => Promise<JoinRun>> {
  const child = await startChild<true>({
    command: process.execPath,
    args: [fileURLToPath(new URL("../features/join-process.ts", import.meta.url)), JSON.stringify(settings)],
    env: PRODUCTION,
    ready: (line) => (line === "ready" ? true : undefined),
    cores: bench.cores?.all,
  });
  bench.defer(() => child.stop());
  let answer: (run: JoinRun) => void = () => {};
  child.onMessage((run) => answer(run as JoinRun));
  return (knownAt) =>
    new Promise((resolve, reject) => {
      answer = resolve;
      child.onExit(() => reject(new Error("The process that joins has ended.")));
      child.send({ knownAt });
    });
}

async function writeData(database: Database, duckdb: Duckdb, dataDir: string) {
  const ids = createIdGenerator(systemClock);
  const files: string[] = [];
  for (let day = 0; day < DAYS; day += 1) {
    const fileId = ids.uuid();
    const text = dayText(FIRST_DAY + day);
    const path = filePath(dataset, text, fileId);
    const absolute = join(dataDir, path);
    mkdirSync(dirname(absolute), { recursive: true });
    const start = (FIRST_DAY + day) * MICROS_PER_DAY;
    await duckdb.use((session) =>
      session.run(`COPY (
        SELECT "user", ${FEATURES.join(", ")}, make_timestamp(micros) AS event_time,
          make_timestamp(micros + ${LATE_MICROS}) AS created_at, ${day * ROWS_A_DAY} + range AS write_sequence
        FROM (SELECT range, CAST(hash(range, ${day}) % ${ENTITIES} AS BIGINT) AS "user",
          ${FEATURES.map((name) => `random() AS ${name}`).join(", ")},
          ${start} + CAST(hash(${day}, range, 1) % ${MICROS_PER_DAY} AS BIGINT) AS micros FROM range(${ROWS_A_DAY}))
        ORDER BY "user", event_time
      ) TO ${quoteText(absolute)} (FORMAT parquet, COMPRESSION zstd)`),
    );
    files.push(absolute);
    const file = {
      fileId,
      datasetId: dataset.datasetId,
      path,
      day: text,
      featureCount: FEATURES.length,
      rowCount: ROWS_A_DAY,
      sizeBytes: statSync(absolute).size,
      minEventTime: start,
      maxEventTime: start + MICROS_PER_DAY - 1,
      minCreatedAt: start + LATE_MICROS,
      maxCreatedAt: start + MICROS_PER_DAY - 1 + LATE_MICROS,
    };
    await addFiles(database, [file], Date.now());
  }
  const entities = join(dataDir, "entities.parquet");
  await duckdb.use((session) =>
    session.run(`COPY (
      SELECT CAST(hash(range, 'user') % ${ENTITIES} AS BIGINT) AS "user",
        make_timestamp(${FIRST_DAY * MICROS_PER_DAY} + CAST(hash(range, 'at') % ${DAYS * MICROS_PER_DAY} AS BIGINT)) AS happened_at
      FROM range(${ENTITY_ROWS})) TO ${quoteText(entities)} (FORMAT parquet)`),
  );
  return { files, entities };
}

function toRows(knownAt: KnownAt, ours: readonly JoinRun[], byHand: readonly JoinRun[]): Row[] {
  const ratio = figureOf(ours.map(({ ms }, round) => ms / byHand[round]!.ms));
  const common = { case: NAME, beside: "DuckDB, by hand" };
  const what = `1 M entity rows with 10 M feature rows, known at ${knownAt}`;
  return [
    {
      ...common,
      what: `${what}, into Parquet`,
      unit: "ms",
      gateway: figureOf(ours.map(({ ms }) => ms)),
      besideFigure: figureOf(byHand.map(({ ms }) => ms)),
      ratio,
      ratioPerCpu: percentile(
        ours.map(({ cpuMs }, round) => cpuMs / byHand[round]!.cpuMs),
        0.5,
      ),
      target: `≤ ${AT_MOST} ×`,
      met: ratio.median <= AT_MOST,
    },
    {
      ...common,
      what: `${what}, peak memory (VmHWM)`,
      unit: "MiB",
      gateway: figureOf(ours.map(({ peakMegabytes }) => peakMegabytes)),
      besideFigure: figureOf(byHand.map(({ peakMegabytes }) => peakMegabytes)),
    },
  ];
}

function describe({ ms, cpuMs, peakMegabytes }: JoinRun): string {
  return `${Math.round(ms)} ms, ${Math.round(cpuMs)} ms of CPU and ${Math.round(peakMegabytes)} MiB`;
}
