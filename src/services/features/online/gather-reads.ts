import { countEntities } from "./online-reads.ts";
import type { OnlineRead } from "./online-store.ts";

type Rows = (Buffer | undefined)[][];
type Load = (reads: readonly OnlineRead[]) => Promise<Rows>;

interface Gathered {
  readonly reads: OnlineRead[];
  entityCount: number;
  readonly rows: Promise<Rows>;
}

/**
 * Lets small reads that come in one turn of the event loop share a round trip: for a read of one
 * entity, most of the cost is that of a command, to this process and to the store. No more than
 * `maxEntities` go together, and a read of more goes alone, so that nobody waits for it.
 */
export function gatherReads(load: Load, maxEntities: number): Load {
  let open: Gathered | undefined;

  function begin(): Gathered {
    const { promise, resolve } = Promise.withResolvers<Rows>();
    const gathered: Gathered = { reads: [], entityCount: 0, rows: promise };
    // After all that has arrived by now was looked at.
    setImmediate(() => {
      if (open === gathered) open = undefined;
      resolve(load(gathered.reads));
    });
    return gathered;
  }

  return async (reads) => {
    const entityCount = countEntities(reads);
    if (entityCount > maxEntities) return load(reads);
    if (open === undefined || open.entityCount + entityCount > maxEntities) open = begin();
    const { reads: all, rows } = open;
    const first = all.length;
    all.push(...reads);
    open.entityCount += entityCount;
    return (await rows).slice(first, first + reads.length);
  };
}
