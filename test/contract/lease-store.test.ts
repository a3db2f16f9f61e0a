import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { LeaseStore } from "../../src/services/leases/index.ts";
import { leaseEngines, type OpenLeaseStore } from "./lease-engines.ts";

const LONG_MS = 60_000;
/** A lease that has run out when it is granted, so that no test waits. */
const NONE_MS = 0;

describe.each(leaseEngines)("lease store on $name", ({ open }) => {
  let opened: OpenLeaseStore;
  let store: LeaseStore;

  beforeAll(async () => {
    opened = await open();
    store = opened.store;
  }, 60_000);
  afterAll(() => opened.close());

  const newSpace = () => `space {${randomUUID()}}`;

  test("a granted lease has its deadline by the store's clock, in the order given", async () => {
    const space = newSpace();
    const before = await store.now();
    const deadlines = await store.grant(space, "default", [
      { key: "b", fence: 1, ttlMs: 2 * LONG_MS },
      { key: "a", fence: 7, ttlMs: LONG_MS },
    ]);
    const after = await store.now();
    expect(deadlines[0]).toBeGreaterThanOrEqual(before + 2 * LONG_MS);
    expect(deadlines[0]).toBeLessThanOrEqual(after + 2 * LONG_MS);
    expect(deadlines[1]).toBeLessThanOrEqual(after + LONG_MS);
    expect(await store.deadlines(space, "default", ["a", "nobody", "b"])).toEqual([
      deadlines[1],
      undefined,
      deadlines[0],
    ]);
  });

  test("only the exact fence extends and releases", async () => {
    const space = newSpace();
    const [granted] = await store.grant(space, "default", [{ key: "k", fence: 5, ttlMs: LONG_MS }]);
    const extended = await store.extend(space, "default", [
      { key: "k", fence: 4, ttlMs: 3 * LONG_MS },
      { key: "k", fence: 6, ttlMs: 3 * LONG_MS },
      { key: "nobody", fence: 5, ttlMs: 3 * LONG_MS },
      { key: "k", fence: 5, ttlMs: 2 * LONG_MS },
    ]);
    expect(extended.slice(0, 3)).toEqual([undefined, undefined, undefined]);
    expect(extended[3]).toBeGreaterThanOrEqual(granted! + LONG_MS);
    await store.release(space, "default", [
      { key: "k", fence: 4 },
      { key: "k", fence: 6 },
    ]);
    expect(await store.deadlines(space, "default", ["k"])).toEqual([extended[3]]);
    await store.release(space, "default", [{ key: "k", fence: 5 }]);
    expect(await store.deadlines(space, "default", ["k"])).toEqual([undefined]);
  });

  test("a grant replaces older fences and its own, never a newer one", async () => {
    const space = newSpace();
    await store.grant(space, "default", [{ key: "k", fence: 5, ttlMs: NONE_MS }]);
    const [newer] = await store.grant(space, "default", [{ key: "k", fence: 6, ttlMs: LONG_MS }]);
    expect(await store.grant(space, "default", [{ key: "k", fence: 5, ttlMs: 9 * LONG_MS }])).toEqual([undefined]);
    expect(await store.deadlines(space, "default", ["k"])).toEqual([newer]);
    expect(await store.extend(space, "default", [{ key: "k", fence: 5, ttlMs: LONG_MS }])).toEqual([undefined]);
    const [again] = await store.grant(space, "default", [{ key: "k", fence: 6, ttlMs: 2 * LONG_MS }]);
    expect(again).toBeGreaterThanOrEqual(newer! + LONG_MS);
  });

  test("what is adopted gets its time once; what is known keeps its own, unless its fence is lower", async () => {
    const space = newSpace();
    const [granted] = await store.grant(space, "default", [{ key: "known", fence: 5, ttlMs: LONG_MS }]);
    await store.grant(space, "default", [
      { key: "past", fence: 5, ttlMs: NONE_MS },
      { key: "older", fence: 4, ttlMs: 9 * LONG_MS },
      { key: "newer", fence: 6, ttlMs: NONE_MS },
    ]);
    const leases = ["known", "past", "older", "newer", "unknown"].map((key) => ({ key, fence: 5, ttlMs: 3 * LONG_MS }));
    const [known, past, older, newer, unknown] = await store.adopt(space, "default", leases);
    expect(known).toMatchObject({ fence: 5, deadlineMs: granted });
    expect(past!.remainingMs).toBeLessThanOrEqual(0);
    expect(newer).toMatchObject({ fence: 6 });
    expect(newer!.remainingMs).toBeLessThanOrEqual(0);
    for (const adopted of [older!, unknown!]) {
      expect(adopted.fence).toBe(5);
      expect(adopted.remainingMs).toBeGreaterThan(2 * LONG_MS);
    }
    const later = leases.map((lease) => ({ ...lease, ttlMs: 9 * LONG_MS }));
    const again = await store.adopt(space, "default", later);
    expect(again.map(({ deadlineMs }) => deadlineMs)).toEqual(
      [known, past, older, newer, unknown].map((lease) => lease!.deadlineMs),
    );
    expect(again[4]!.remainingMs).toBeLessThanOrEqual(unknown!.remainingMs);
  });

  test("only what is past under the exact fence is retired, and then nothing extends it", async () => {
    const space = newSpace();
    const ttls = { past: NONE_MS, alive: LONG_MS, newer: NONE_MS };
    for (const [key, ttlMs] of Object.entries(ttls)) {
      await store.grant(space, "default", [{ key, fence: key === "newer" ? 6 : 5, ttlMs }]);
    }
    const names = [...Object.keys(ttls), "unknown"].map((key) => ({ key, fence: 5 }));
    expect(await store.retire(space, "default", names)).toEqual([true, false, false, false]);
    const extended = await store.extend(
      space,
      "default",
      names.map((name) => ({ ...name, ttlMs: LONG_MS })),
    );
    expect(extended).toEqual([undefined, expect.any(Number), undefined, undefined]);
  });

  test("a forgotten space is empty, others are not", async () => {
    const [space, other] = [newSpace(), newSpace()];
    await store.grant(space, "default", [{ key: "k", fence: 1, ttlMs: NONE_MS }]);
    await store.grant(other, "default", [{ key: "k", fence: 1, ttlMs: NONE_MS }]);
    await store.forget(space);
    expect(await store.expired(space, 9)).toEqual([]);
    expect(await store.deadlines(space, "default", ["k"])).toEqual([undefined]);
    expect(await store.expired(other, 9)).toHaveLength(1);
  });

  test("one batch may name a key twice", async () => {
    const space = newSpace();
    const deadlines = await store.grant(space, "default", [
      { key: "k", fence: 2, ttlMs: LONG_MS },
      { key: "k", fence: 1, ttlMs: 9 * LONG_MS },
    ]);
    expect(deadlines).toEqual([expect.any(Number), undefined]);
    expect(await store.extend(space, "default", [{ key: "k", fence: 1, ttlMs: LONG_MS }])).toEqual([undefined]);
  });

  test("what ran out is found in every partition, oldest first, and can be revived until it is released", async () => {
    const space = newSpace();
    const partitions = Array.from({ length: 40 }, (_, index) => `namespace-${index}`);
    for (const [index, partition] of partitions.entries()) {
      await store.grant(space, partition, [
        { key: "gone", fence: index + 1, ttlMs: NONE_MS },
        { key: "alive", fence: 1, ttlMs: LONG_MS },
      ]);
    }
    await store.grant(newSpace(), "default", [{ key: "elsewhere", fence: 1, ttlMs: NONE_MS }]);

    const found = await store.expired(space, 100);
    const byPartition = (left: { partition: string }, right: { partition: string }) =>
      left.partition < right.partition ? -1 : 1;
    expect(found.toSorted(byPartition)).toEqual(
      partitions.map((partition, index) => ({ partition, key: "gone", fence: index + 1 })).toSorted(byPartition),
    );
    expect(await store.expired(space, 7)).toHaveLength(7);

    await store.extend(space, partitions[0]!, [{ key: "gone", fence: 1, ttlMs: LONG_MS }]);
    await store.release(space, partitions[1]!, [{ key: "gone", fence: 2 }]);
    await store.grant(space, partitions[2]!, [{ key: "gone", fence: 99, ttlMs: LONG_MS }]);
    expect(await store.expired(space, 100)).toHaveLength(37);
  });

  test("partitions and keys with odd characters stay apart", async () => {
    const space = newSpace();
    await store.grant(space, "a", [{ key: "b/c", fence: 1, ttlMs: NONE_MS }]);
    await store.grant(space, "a/b", [{ key: "c", fence: 2, ttlMs: NONE_MS }]);
    await store.grant(space, "ü {}", [{ key: "\n:{x}", fence: 3, ttlMs: NONE_MS }]);
    const found = await store.expired(space, 10);
    expect(found.toSorted((left, right) => left.fence - right.fence)).toEqual([
      { partition: "a", key: "b/c", fence: 1 },
      { partition: "a/b", key: "c", fence: 2 },
      { partition: "ü {}", key: "\n:{x}", fence: 3 },
    ]);
  });

  test("empty batches are answered with nothing, and a thousand at once work", async () => {
    const space = newSpace();
    expect(await store.grant(space, "default", [])).toEqual([]);
    expect(await store.extend(space, "default", [])).toEqual([]);
    expect(await store.deadlines(space, "default", [])).toEqual([]);
    await store.release(space, "default", []);
    const many = Array.from({ length: 1000 }, (_, index) => ({ key: `k${index}`, fence: index, ttlMs: LONG_MS }));
    await store.grant(space, "default", many);
    const extended = await store.extend(space, "default", many);
    expect(extended.filter((deadline) => deadline !== undefined)).toHaveLength(1000);
    await store.release(space, "default", many);
    expect(await store.deadlines(space, "default", ["k0", "k999"])).toEqual([undefined, undefined]);
  });

  test("does what a simple model does, whatever is asked of it", async () => {
    const key = fc.constantFrom("a", "b", "c");
    const fence = fc.integer({ min: 1, max: 4 });
    const ttlMs = fc.constantFrom(NONE_MS, LONG_MS);
    const step = fc.oneof(
      fc.record({ verb: fc.constant("grant" as const), key, fence, ttlMs }),
      fc.record({ verb: fc.constant("extend" as const), key, fence, ttlMs }),
      fc.record({ verb: fc.constant("release" as const), key, fence, ttlMs }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const space = newSpace();
        const model = new Map<string, { fence: number; ttlMs: number }>();
        for (const { verb, ...lease } of steps) {
          const known = model.get(lease.key);
          if (verb === "grant") {
            await store.grant(space, "default", [lease]);
            if (!known || known.fence <= lease.fence) model.set(lease.key, lease);
          } else if (verb === "extend") {
            const [deadline] = await store.extend(space, "default", [lease]);
            expect(deadline !== undefined).toBe(known?.fence === lease.fence);
            if (known?.fence === lease.fence) model.set(lease.key, lease);
          } else {
            await store.release(space, "default", [lease]);
            if (known?.fence === lease.fence) model.delete(lease.key);
          }
        }
        const deadlines = await store.deadlines(space, "default", ["a", "b", "c"]);
        expect(deadlines.map((deadline) => deadline !== undefined)).toEqual(
          ["a", "b", "c"].map((name) => model.has(name)),
        );
        const found = await store.expired(space, 10);
        expect(found.map((lease) => `${lease.key}:${lease.fence}`).sort()).toEqual(
          [...model]
            .filter(([, lease]) => lease.ttlMs === NONE_MS)
            .map(([name, lease]) => `${name}:${lease.fence}`)
            .sort(),
        );
      }),
      { numRuns: 40 },
    );
  });
});
