import type { OnlineRead } from "./online-store.ts";

/** Gives the rows of all entities, found in one list, back to the reads that asked for them. */
export function splitByRead<T>(reads: readonly OnlineRead[], found: readonly T[]): T[][] {
  let end = 0;
  return reads.map(({ entities }) => {
    const start = end;
    end += entities.length;
    return found.slice(start, end);
  });
}

export function countEntities(reads: readonly OnlineRead[]): number {
  return reads.reduce((count, { entities }) => count + entities.length, 0);
}
