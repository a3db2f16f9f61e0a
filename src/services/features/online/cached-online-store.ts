import type { Clock } from "../../../core/clock.ts";
import { countEntities, splitByRead } from "./online-reads.ts";
import type { OnlineRead, OnlineStore } from "./online-store.ts";
import { createRowCache, type RowCache } from "./row-cache.ts";

export interface CachedOnlineStoreOptions {
  readonly store: OnlineStore;
  readonly clock: Clock;
  readonly maxEntries: number;
  /** Bounds the memory of the rows and what belongs to them, roughly. */
  readonly maxBytes: number;
}

export interface CacheUsage {
  readonly entries: number;
  readonly sizeBytes: number;
  /** Entities answered from the cache, and those a read allowed to be but that were not. */
  readonly hits: number;
  readonly misses: number;
}

export interface CachedOnlineStore extends OnlineStore {
  usage(): CacheUsage;
}

/**
 * Remembers in this process what reads with a declared staleness found, absent entities too, and
 * serves it again for as long as such a read allows. An answer is at most `maxStalenessMs` behind
 * the store, and never behind this process's own finished puts. Other reads go to the store.
 */
export function createCachedOnlineStore(options: CachedOnlineStoreOptions): CachedOnlineStore {
  const { store, clock } = options;
  const cache = createRowCache(options);
  const loads = createLoads();
  let hits = 0;
  let misses = 0;

  const load = async (missing: readonly Missing[]): Promise<(Buffer | undefined)[]> => {
    const asOfMs = clock.monotonic();
    const tickets = missing.map(({ key }) => loads.begin(key));
    try {
      const found = (await store.get(readsOf(missing))).flat();
      for (const [index, { key }] of missing.entries()) {
        if (loads.isCurrent(key, tickets[index]!)) cache.fill(key, found[index], asOfMs);
      }
      return found;
    } finally {
      for (const [index, { key }] of missing.entries()) loads.end(key, tickets[index]!);
    }
  };

  return {
    async get(reads, { maxStalenessMs = 0 } = {}) {
      if (maxStalenessMs <= 0) return store.get(reads);
      const { found, missing } = lookUp(cache, reads, clock.monotonic() - maxStalenessMs);
      hits += found.length - missing.length;
      misses += missing.length;
      if (missing.length > 0) {
        const rows = await load(missing);
        for (const [index, { place }] of missing.entries()) found[place] = rows[index];
      }
      return splitByRead(reads, found);
    },
    async put(datasetId, rows) {
      await store.put(datasetId, rows);
      const nowMs = clock.now();
      for (const { entity, row, forgetAtMs } of rows) {
        const key = keyOf(datasetId, entity);
        loads.outdate(key);
        if (forgetAtMs === undefined || forgetAtMs > nowMs) cache.advance(key, row);
      }
    },
    async clear(datasetId) {
      await store.clear(datasetId);
      const prefix = keyOf(datasetId, "");
      loads.outdateAll(prefix);
      cache.removeAll(prefix);
    },
    usage: () => ({ ...cache.usage(), hits, misses }),
  };
}

interface Missing {
  readonly key: string;
  readonly datasetId: number;
  readonly entity: string;
  readonly place: number;
}

function keyOf(datasetId: number, entity: string): string {
  return `${datasetId}:${entity}`;
}

function lookUp(cache: RowCache, reads: readonly OnlineRead[], sinceMs: number) {
  const found = new Array<Buffer | undefined>(countEntities(reads)).fill(undefined);
  const missing: Missing[] = [];
  let place = 0;
  for (const { datasetId, entities } of reads) {
    for (const entity of entities) {
      const key = keyOf(datasetId, entity);
      const entry = cache.get(key, sinceMs);
      if (entry === undefined) missing.push({ key, datasetId, entity, place });
      else found[place] = entry.row;
      place += 1;
    }
  }
  return { found, missing };
}

/** In the order of `missing`: neighbours of the same dataset become one read. */
function readsOf(missing: readonly Missing[]): OnlineRead[] {
  const reads: { datasetId: number; entities: string[] }[] = [];
  for (const { datasetId, entity } of missing) {
    const last = reads.at(-1);
    if (last?.datasetId === datasetId) last.entities.push(entity);
    else reads.push({ datasetId, entities: [entity] });
  }
  return reads;
}

interface Ticket {
  loading: number;
}

/**
 * Which keys are on their way from the store. What this process put or cleared meanwhile may be
 * missing from an answer already under way, so such an answer is not remembered.
 */
function createLoads() {
  const current = new Map<string, Ticket>();
  return {
    begin(key: string): Ticket {
      const ticket = current.get(key) ?? { loading: 0 };
      ticket.loading += 1;
      current.set(key, ticket);
      return ticket;
    },
    isCurrent: (key: string, ticket: Ticket) => current.get(key) === ticket,
    outdate(key: string): void {
      current.delete(key);
    },
    outdateAll(prefix: string): void {
      for (const key of current.keys()) if (key.startsWith(prefix)) current.delete(key);
    },
    end(key: string, ticket: Ticket): void {
      ticket.loading -= 1;
      if (ticket.loading === 0 && current.get(key) === ticket) current.delete(key);
    },
  };
}
