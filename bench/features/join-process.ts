import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createDuckdb } from "../../src/platform/duckdb/duckdb.ts";
import { quotePath, quoteText } from "../../src/platform/duckdb/sql-text.ts";
import { createPostgresDatabase } from "../../src/platform/postgres/postgres-database.ts";
import { createDuckdbOfflineStore } from "../../src/services/features/offline/duckdb-offline-store.ts";
import type { KnownAt } from "../../src/services/features/offline/offline-store.ts";
import { forgetPeakMemory, readPeakMegabytes } from "../harness/cores.ts";
import { dataset, ENTITY_ROWS, FEATURES, type JoinRun, type JoinSettings } from "./join-dataset.ts";

/** Joins in a process of its own, so that its memory is that of the join, as often as it is told to. */
const settings = JSON.parse(process.argv[2]!) as JoinSettings;
const join = settings.kind === "STORE" ? joinThroughStore() : joinByHand();

process.on("message", async (knownAt: { knownAt: KnownAt }) => {
  forgetPeakMemory();
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  await join(knownAt.knownAt);
  const { user, system } = process.cpuUsage(startedCpu);
  const run: JoinRun = {
    ms: performance.now() - startedMs,
    cpuMs: (user + system) / 1000,
    peakMegabytes: readPeakMegabytes(),
  };
  process.send!(run);
});
process.stdout.write("ready\n");

function joinByHand(): () => Promise<void> {
  const { dataDir, files, entities, target } = settings;
  const duckdb = createDuckdb({ dataDir });
  return () =>
    duckdb.use((session) =>
      session.run(`COPY (
        SELECT e.*, ${FEATURES.map((name) => `f.${name}`).join(", ")} FROM read_parquet(${quotePath(entities)}) e
        ASOF LEFT JOIN read_parquet([${files.map(quotePath).join(", ")}], hive_partitioning = false) f
        ON e."user" = f."user" AND e.happened_at >= f.event_time
      ) TO ${quoteText(target)} (FORMAT parquet, COMPRESSION zstd)`),
    );
}

function joinThroughStore(): (knownAt: KnownAt) => Promise<void> {
  const { dataDir, databaseUrl, entities, target } = settings;
  const store = createDuckdbOfflineStore({
    database: createPostgresDatabase({ url: databaseUrl }),
    dataDir,
    clock: systemClock,
    ids: createIdGenerator(systemClock),
    logger: silentLogger,
  });
  return async (knownAt) => {
    const { rowCount } = await store.exportPointInTime(
      {
        entities: { kind: "FILE", format: "PARQUET", path: entities, timeColumn: "happened_at" },
        sources: [{ dataset, features: dataset.features }],
        knownAt,
      },
      { path: target, format: "PARQUET" },
    );
    if (rowCount !== ENTITY_ROWS) throw new Error(`${rowCount} rows came of ${ENTITY_ROWS}.`);
  };
}
