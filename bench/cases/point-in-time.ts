import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createDuckdb, type Duckdb } from "../../src/platform/duckdb/duckdb.ts";
import { quotePath, quoteText } from "../../src/platform/duckdb/sql-text.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createPgliteDatabase } from "../../src/platform/postgres/pglite-database.ts";
import { featureMigrations } from "../../src/services/features/migrations.ts";
import { dayText, filePath } from "../../src/services/features/offline/dataset-folder.ts";
import { createDuckdbOfflineStore } from "../../src/services/features/offline/duckdb-offline-store.ts";
import { addFiles } from "../../src/services/features/offline/file-catalogue.ts";
import type { KnownAt, OfflineStore } from "../../src/services/features/offline/offline-store.ts";
import type { Dataset } from "../../src/services/features/values/dataset.ts";
import { MICROS_PER_DAY } from "../../src/services/features/values/micros.ts";
import type { Case } from "../harness/bench.ts";
import { figureOf, percentile } from "../harness/figures.ts";
import type { Row } from "../harness/row.ts";

const ENTITIES = 100_000;
const ENTITY_ROWS = 1_000_000;
const DAYS = 30;
const ROWS_A_DAY = 333_334;
const FIRST_DAY = Date.UTC(2027, 0, 1) / 86_400_000;
/** So long after its event a row is written. */
const LATE_MICROS = 3_000_000;
const ROUNDS = 3;
const AT_MOST = 1.5;
const MEMORY_SAMPLE_MS = 20;
const MEGABYTE = 1024 * 1024;

const dataset: Dataset = {
  datasetId: 1,
  namespace: "default",
  group: "users",
  firstVersion: 1,
  entityKeys: [{ name: "user", type: "INT64" }],
  features: Array.from({ length: 5 }, (_, index) => ({ name: `score_${index}`, type: "DOUBLE" })),
};
const FEATURES = dataset.features.map(({ name }) => name);

interface Run {
  readonly ms: number;
  /** Of all threads of this process: unlike the time, a busy neighbour does not change it. */
  readonly cpuMs: number;
  readonly peakMegabytes: number;
}

/** A training set of a million rows, beside the ASOF join that one would write by hand over the same files. */
export const pointInTimeCase: Case = {
  name: "point-in-time",
  async run(bench) {
    const dataDir = bench.createFolder();
    const database = await createPgliteDatabase();
    bench.defer(() => database.close());
    await migrate(database, featureMigrations);
    const store = createDuckdbOfflineStore({
      database,
      dataDir,
      clock: systemClock,
      ids: createIdGenerator(systemClock),
      logger: silentLogger,
    });
    bench.defer(() => store.close());
    const duckdb = createDuckdb({ dataDir });
    bench.defer(() => duckdb.close());
    bench.progress(`  writing ${(DAYS * ROWS_A_DAY).toLocaleString("en")} feature rows`);
    const { files, entities } = await writeData(database, duckdb, dataDir);

    const rows: Row[] = [];
    for (const knownAt of ["LATEST", "ENTITY_TIME"] as const) {
      const ours: Run[] = [];
      const byHand: Run[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        byHand.push(await measure(() => joinByHand(duckdb, files, entities, join(dataDir, "hand.parquet"))));
        ours.push(await measure(() => joinThroughStore(store, entities, join(dataDir, "ours.parquet"), knownAt)));
        bench.progress(
          `  ${knownAt} round ${round + 1}: ${describe(ours.at(-1)!)}, by hand ${describe(byHand.at(-1)!)}`,
        );
      }
      rows.push(...toRows(knownAt, ours, byHand));
    }
    return rows;
  },
};

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

function joinByHand(duckdb: Duckdb, files: readonly string[], entities: string, target: string): Promise<void> {
  return duckdb.use((session) =>
    session.run(`COPY (
      SELECT e.*, ${FEATURES.map((name) => `f.${name}`).join(", ")} FROM read_parquet(${quotePath(entities)}) e
      ASOF LEFT JOIN read_parquet([${files.map(quotePath).join(", ")}], hive_partitioning = false) f
      ON e."user" = f."user" AND e.happened_at >= f.event_time
    ) TO ${quoteText(target)} (FORMAT parquet, COMPRESSION zstd)`),
  );
}

async function joinThroughStore(store: OfflineStore, path: string, target: string, knownAt: KnownAt): Promise<void> {
  const { rowCount } = await store.exportPointInTime(
    {
      entities: { kind: "FILE", format: "PARQUET", path, timeColumn: "happened_at" },
      sources: [{ dataset, features: dataset.features }],
      knownAt,
    },
    { path: target, format: "PARQUET" },
  );
  if (rowCount !== ENTITY_ROWS) throw new Error(`${rowCount} rows came of ${ENTITY_ROWS}.`);
}

/** The most memory this process had meanwhile; what an earlier run left with the allocator is in it. */
async function measure(work: () => Promise<void>): Promise<Run> {
  let peak = 0;
  const sample = () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const timer = setInterval(sample, MEMORY_SAMPLE_MS);
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  try {
    await work();
  } finally {
    clearInterval(timer);
    sample();
  }
  const { user, system } = process.cpuUsage(startedCpu);
  return { ms: performance.now() - startedMs, cpuMs: (user + system) / 1000, peakMegabytes: peak / MEGABYTE };
}

function toRows(knownAt: KnownAt, ours: readonly Run[], byHand: readonly Run[]): Row[] {
  const ratio = figureOf(ours.map(({ ms }, round) => ms / byHand[round]!.ms));
  const common = { case: "point-in-time", beside: "DuckDB, by hand" };
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
      what: `${what}, peak memory of the process`,
      unit: "MB",
      gateway: figureOf(ours.map(({ peakMegabytes }) => peakMegabytes)),
      besideFigure: figureOf(byHand.map(({ peakMegabytes }) => peakMegabytes)),
    },
  ];
}

function describe({ ms, cpuMs, peakMegabytes }: Run): string {
  return `${Math.round(ms)} ms, ${Math.round(cpuMs)} ms of CPU and ${Math.round(peakMegabytes)} MB`;
}
