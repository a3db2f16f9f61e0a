import type { ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { OnlineStore } from "../online/online-store.ts";
import { MICROS_PER_MS } from "../values/micros.ts";
import { readEventTime, readOrder } from "../values/packed-row.ts";
import { batchOf, type EntityRow } from "../values/row-batch.ts";

/** How long a row is kept online after its ttl is over, so that reads can say OUTSIDE_MAX_AGE and not NOT_FOUND. */
const KEPT_AFTER_TTL_MS = 24 * 3_600_000;
/** So many batches are remembered: far more than wait for a flush while flushing keeps up. */
const MAX_REMEMBERED = 20_000;

/** What of a version decides about its rows online. */
export type OnlineSettings = Pick<ResolvedVersion, "dataset" | "ttlMs" | "online">;

export interface PutOnlineOptions {
  /** The rows are all of one batch: remember that it is online. */
  readonly isWholeBatch?: boolean;
  /** Leave out rows of batches that are remembered. */
  readonly skipsRemembered?: boolean;
}

/** Makes stamped rows readable online, where the group is kept there. */
export type PutOnline = (
  version: OnlineSettings,
  rows: readonly EntityRow[],
  options?: PutOnlineOptions,
) => Promise<void>;

export function createPutOnline(store: OnlineStore): PutOnline {
  // A Set keeps the order in which batches were put, so the first is the one to forget.
  const remembered = new Set<number>();
  const batchOfRow = ({ row }: EntityRow) => batchOf(readOrder(row).sequence);

  return async ({ dataset, ttlMs, online }, all, { isWholeBatch = false, skipsRemembered = false } = {}) => {
    if (!online) return;
    const rows = skipsRemembered ? all.filter((row) => !remembered.has(batchOfRow(row))) : all;
    if (rows.length === 0) return;
    const keptMs = ttlMs === undefined ? undefined : ttlMs + KEPT_AFTER_TTL_MS;
    await store.put(
      dataset.datasetId,
      keptMs === undefined
        ? rows
        : rows.map((row) => ({ ...row, forgetAtMs: Math.floor(readEventTime(row.row) / MICROS_PER_MS) + keptMs })),
    );
    if (!isWholeBatch) return;
    remembered.add(batchOfRow(rows[0]!));
    if (remembered.size > MAX_REMEMBERED) remembered.delete(remembered.values().next().value!);
  };
}
