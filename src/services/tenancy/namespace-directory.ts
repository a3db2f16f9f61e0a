import type { NamespaceScope } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { Database } from "../../platform/postgres/database.ts";
import { createRefreshingCache, type RefreshingCache } from "../../platform/refreshing-cache.ts";
import { getNamespace } from "./namespace-store.ts";

/** What every call needs to know of its namespace, from memory whenever that is recent enough. */
export type NamespaceDirectory = Pick<RefreshingCache<NamespaceScope>, "peek" | "get">;

export interface NamespaceDirectoryOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly maxAgeMs: number;
  readonly maxEntries: number;
}

export function createNamespaceDirectory(options: NamespaceDirectoryOptions): RefreshingCache<NamespaceScope> {
  return createRefreshingCache<NamespaceScope>({
    ...options,
    async load(name) {
      const namespace = await getNamespace(options.database, name);
      return namespace && Object.freeze({ name, isolation: namespace.isolation, quotas: namespace.quotas });
    },
  });
}
