import type { Call } from "../../../core/call.ts";
import type { Clock } from "../../../core/clock.ts";
import { quotaExceeded } from "../../../core/errors.ts";
import { BYTES_PER_MB } from "../../tenancy/index.ts";

export interface StorageGuardOptions {
  readonly clock: Clock;
  /** What the namespace stores now, in bytes, of all domains together. */
  readonly usedBytes: (namespace: string) => Promise<number>;
}

/** Refuses what would pass the namespace's maxStorageMb. */
export type StorageGuard = (call: Pick<Call, "namespace">, addedBytes: number) => Promise<void>;

/** Counting what is stored costs a scan, so it is known to this age, and what was added since is reckoned on top. */
const MAX_AGE_MS = 2000;
const MAX_NAMESPACES = 10_000;

export function createStorageGuard({ clock, usedBytes }: StorageGuardOptions): StorageGuard {
  const known = new Map<string, { bytes: number; readonly at: number }>();

  const usageOf = async (namespace: string) => {
    const found = known.get(namespace);
    if (found !== undefined && clock.monotonic() - found.at < MAX_AGE_MS) return found;
    const fresh = { bytes: await usedBytes(namespace), at: clock.monotonic() };
    if (known.size >= MAX_NAMESPACES) known.clear();
    known.set(namespace, fresh);
    return fresh;
  };

  return async ({ namespace }, addedBytes) => {
    const limit = namespace?.quotas.maxStorageMb;
    if (namespace === undefined || limit === undefined) return;
    const usage = await usageOf(namespace.name);
    if (usage.bytes + addedBytes > limit * BYTES_PER_MB) {
      throw quotaExceeded(
        namespace.name,
        "maxStorageMb",
        `Namespace "${namespace.name}" may store ${limit} MB, and this would pass that. Delete feature groups and files that are not used, or raise maxStorageMb.`,
      );
    }
    usage.bytes += addedBytes;
  };
}
