import type { ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { OnlineStore } from "../online/online-store.ts";
import { MICROS_PER_MS } from "../values/micros.ts";
import { readEventTime } from "../values/packed-row.ts";
import type { EntityRow } from "../values/row-batch.ts";

/** How long a row is kept online after its ttl is over, so that reads can say OUTSIDE_MAX_AGE and not NOT_FOUND. */
const KEPT_AFTER_TTL_MS = 24 * 3_600_000;

/** What of a version decides about its rows online. */
export type OnlineSettings = Pick<ResolvedVersion, "dataset" | "ttlMs" | "online">;

/** Makes stamped rows readable online, where the group is kept there. */
export type PutOnline = (version: OnlineSettings, rows: readonly EntityRow[]) => Promise<void>;

export function createPutOnline(store: OnlineStore): PutOnline {
  return async ({ dataset, ttlMs, online }, rows) => {
    if (!online) return;
    const keptMs = ttlMs === undefined ? undefined : ttlMs + KEPT_AFTER_TTL_MS;
    await store.put(
      dataset.datasetId,
      keptMs === undefined
        ? rows
        : rows.map((row) => ({ ...row, forgetAtMs: Math.floor(readEventTime(row.row) / MICROS_PER_MS) + keptMs })),
    );
  };
}
