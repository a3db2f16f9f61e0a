/** A map that forgets what was put in longest ago when all together weighs more than it may. */
export interface BoundedMap<Value> {
  get(key: string): Value | undefined;
  set(key: string, value: Value): void;
  delete(key: string): void;
  entries(): IterableIterator<[string, Value]>;
  clear(): void;
}

export function createBoundedMap<Value>(maxWeight: number, weightOf: (value: Value) => number): BoundedMap<Value> {
  const map = new Map<string, Value>();
  let weight = 0;

  const remove = (key: string) => {
    const value = map.get(key);
    if (value === undefined) return;
    map.delete(key);
    weight -= weightOf(value);
  };

  return {
    get: (key) => map.get(key),
    set(key, value) {
      remove(key);
      map.set(key, value);
      weight += weightOf(value);
      for (const oldest of map.keys()) {
        if (weight <= maxWeight || oldest === key) break;
        remove(oldest);
      }
    },
    delete: remove,
    entries: () => map.entries(),
    clear() {
      map.clear();
      weight = 0;
    },
  };
}
