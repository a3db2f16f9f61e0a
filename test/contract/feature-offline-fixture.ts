import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { featureMigrations } from "../../src/services/features/migrations.ts";
import {
  createDuckdbOfflineStore,
  type DuckdbOfflineStoreOptions,
} from "../../src/services/features/offline/duckdb-offline-store.ts";
import type { OfflineStore } from "../../src/services/features/offline/offline-store.ts";
import type { HistoryRow } from "../../src/services/features/offline/testing/oracle.ts";
import type { Dataset } from "../../src/services/features/values/dataset.ts";
import { type EntityKeyValue, entityText } from "../../src/services/features/values/entity-key.ts";
import type { FeatureShape, StoredValue } from "../../src/services/features/values/feature-type.ts";
import type { Micros } from "../../src/services/features/values/micros.ts";
import { packRow, readOrder } from "../../src/services/features/values/packed-row.ts";
import type { databaseEngines, OpenEngine } from "./engines.ts";

export interface OfflineFixture {
  readonly database: Database;
  readonly dataDir: string;
  readonly store: OfflineStore;
  /** Another gateway's store over the same database and folder. */
  another(options?: Partial<DuckdbOfflineStoreOptions>): OfflineStore;
  newDataset(shape?: Partial<Dataset>): Dataset;
  /** Writes rows, and makes the log say that it was at `createdAt`, where given. Answers them as they were kept. */
  write(dataset: Dataset, rows: readonly WriteRow[], createdAt?: Micros): Promise<HistoryRow[]>;
  close(): Promise<void>;
}

export interface WriteRow {
  readonly keys: readonly EntityKeyValue[];
  readonly eventTime: Micros;
  readonly values: readonly (StoredValue | null)[];
}

/** Bounds so low that small histories come to them. */
export const TIGHT_LIMITS = { flushRows: 20, flushFiles: 3, rowsForOwnFile: 2, compactFiles: 2, heldBytes: 500 };

const DEFAULT_FEATURES: readonly FeatureShape[] = [{ name: "score", type: "DOUBLE" }];

let lastDatasetId = 0;

export async function openOffline(
  engine: (typeof databaseEngines)[number],
  options: Partial<DuckdbOfflineStoreOptions> = {},
): Promise<OfflineFixture> {
  const { database, close }: OpenEngine = await engine.open();
  await migrate(database, featureMigrations);
  // A folder whose name would be a pattern to DuckDB, if it were not escaped, and would end a text.
  const parent = mkdtempSync(join(tmpdir(), "tarl-offline-"));
  const dataDir = join(parent, "o'data [1]*");
  const stores: OfflineStore[] = [];
  const another: OfflineFixture["another"] = (own = {}) => {
    const store = createDuckdbOfflineStore({
      database,
      dataDir,
      clock: systemClock,
      ids: createIdGenerator(systemClock),
      logger: silentLogger,
      duckdb: { memoryLimitMb: 256, threads: 2 },
      ...options,
      ...own,
    });
    stores.push(store);
    return store;
  };
  const store = another();
  return {
    database,
    dataDir,
    store,
    another,
    newDataset: (shape = {}) => ({
      datasetId: ++lastDatasetId,
      namespace: "default",
      group: "users",
      firstVersion: 1,
      entityKeys: [{ name: "user", type: "STRING" }],
      features: DEFAULT_FEATURES,
      ...shape,
    }),
    async write(dataset, rows, createdAt) {
      const packed = rows.map(({ keys, eventTime, values }) => ({
        entity: entityText(keys),
        row: packRow(eventTime, dataset.features, values),
      }));
      const appended = await store.append(dataset.datasetId, packed);
      if (createdAt !== undefined) {
        await database.query(
          "UPDATE feature_log SET created_at = to_timestamp(0) + $2::bigint * interval '1 microsecond' WHERE batch_id = $1",
          [appended.batchId, createdAt],
        );
      }
      return rows.map(({ keys, values }, index) => ({
        ...readOrder(packed[index]!.row),
        createdAt: createdAt ?? appended.createdAt,
        keys,
        values: values.slice(0, dataset.features.length),
      }));
    },
    async close() {
      for (const one of stores) await one.close();
      await close();
      await rm(parent, { recursive: true, force: true });
    },
  };
}
