import type { Component } from "../../../core/lifecycle.ts";
import type { Logger } from "../../../core/logger.ts";
import { createLoop } from "../../../core/loop.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import type { OfflineStore } from "../offline/offline-store.ts";
import type { OnlineStore } from "../online/online-store.ts";
import {
  claimDataset,
  forgetDataset,
  getTendedDataset,
  listOrphans,
  releaseDataset,
  type TendedDataset,
} from "./dataset-store.ts";

/** A row is in a file about this long after it was written: fewer and larger files the longer it is. */
const FLUSH_INTERVAL_MS = 2_000;
const COMPACT_INTERVAL_MS = 60_000;
const LEFTOVERS_INTERVAL_MS = 300_000;
const FORGET_INTERVAL_MS = 60_000;
const DATASETS_A_RUN = 100;
const FORGET_BATCH = 1000;
/** One flush or compaction takes far less; a gateway that died holds a dataset up for so long. */
const CLAIM_MS = 60_000;

export interface FeatureUpkeepOptions {
  readonly database: Database;
  readonly offline: OfflineStore;
  readonly online: OnlineStore;
  /** Deletes rows that may be forgotten, up to a number; absent where the online store does so by itself. */
  readonly forgetOnline?: ((limit: number) => Promise<number>) | undefined;
  readonly logger: Logger;
}

/**
 * What happens to rows by themselves: from the log into files, from small files into larger ones,
 * and away when their group is deleted. Every gateway runs it; a claim keeps two from doing the same.
 */
export function createFeatureUpkeep(options: FeatureUpkeepOptions): Component {
  const { offline, logger, forgetOnline } = options;
  const written = new Set<number>();
  const loops = [
    createLoop({
      name: "features.flush",
      intervalMs: FLUSH_INTERVAL_MS,
      logger,
      work: async (signal) => {
        for (const { datasetId } of await offline.pendingDatasets(DATASETS_A_RUN)) {
          if (signal.aborted) break;
          written.add(datasetId);
          await tend(options, datasetId, (tended) => flush(offline, tended, signal));
        }
        return undefined;
      },
    }),
    createLoop({
      name: "features.compact",
      intervalMs: COMPACT_INTERVAL_MS,
      logger,
      work: async (signal) => {
        for (const datasetId of [...written]) {
          if (signal.aborted) break;
          await tend(options, datasetId, async ({ dataset }) => {
            while (!signal.aborted && (await offline.compactOnce(dataset, { signal })).more);
          });
        }
        return undefined;
      },
    }),
    createLoop({
      name: "features.leftovers",
      intervalMs: LEFTOVERS_INTERVAL_MS,
      logger,
      work: async (signal) => {
        for (const datasetId of await listOrphans(options.database, DATASETS_A_RUN)) {
          if (signal.aborted) break;
          written.delete(datasetId);
          await tend(options, datasetId, (tended) => removeOrphan(options, tended));
        }
        await offline.removeLeftovers({ signal });
        return undefined;
      },
    }),
    createLoop({
      name: "features.forget",
      intervalMs: FORGET_INTERVAL_MS,
      logger,
      work: async (signal) => {
        while (!signal.aborted && (await forgetOnline?.(FORGET_BATCH)) === FORGET_BATCH);
        return undefined;
      },
    }),
  ];
  return {
    name: "feature upkeep",
    async start() {
      for (const loop of loops) await loop.start();
    },
    async stop(deadlineMs) {
      await Promise.all(loops.map((loop) => loop.stop(deadlineMs)));
    },
  };
}

/** Does `work` on a dataset unless another gateway is at it. A fault of one dataset does not stop the others. */
async function tend(
  options: FeatureUpkeepOptions,
  datasetId: number,
  work: (tended: TendedDataset) => Promise<void>,
): Promise<void> {
  const { database, logger } = options;
  try {
    const tended = await getTendedDataset(database, datasetId);
    // A writer that had not heard of the deletion has left rows of a dataset that is gone.
    if (tended === undefined) await removeRows(options, datasetId);
    else if (await claimDataset(database, datasetId, CLAIM_MS)) {
      await work(tended).finally(() => releaseDataset(database, datasetId));
    }
  } catch (error) {
    logger.warn({ err: error, datasetId }, "Feature rows could not be tended and will be tried again.");
  }
}

async function flush(offline: OfflineStore, { dataset, ...tended }: TendedDataset, signal: AbortSignal): Promise<void> {
  if (tended.isOrphan) return;
  while (!signal.aborted && (await offline.flushOnce(dataset, { signal, withoutFiles: !tended.offline })).more);
}

async function removeOrphan(options: FeatureUpkeepOptions, { dataset, isOrphan }: TendedDataset): Promise<void> {
  if (!isOrphan) return;
  await removeRows(options, dataset.datasetId);
  await forgetDataset(options.database, dataset.datasetId);
}

async function removeRows({ offline, online }: FeatureUpkeepOptions, datasetId: number): Promise<void> {
  await online.clear(datasetId);
  await offline.removeDataset(datasetId);
}
