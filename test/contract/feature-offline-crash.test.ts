import { cpSync, existsSync, readdirSync } from "node:fs";
import { cp, mkdir, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import type { OfflineStore } from "../../src/services/features/offline/offline-store.ts";
import type { Dataset } from "../../src/services/features/values/dataset.ts";
import { MICROS_PER_DAY, type Micros } from "../../src/services/features/values/micros.ts";
import { databaseEngines } from "./engines.ts";
import { type OfflineFixture, openOffline, TIGHT_LIMITS } from "./feature-offline-fixture.ts";

const BASE: Micros = Date.UTC(2027, 0, 31) * 1000;
const HOUR_MS = 60 * 60_000;

describe.each(databaseEngines)("the offline store through deaths and races, on $name", (engine) => {
  let fixture: OfflineFixture;
  beforeAll(async () => {
    fixture = await openOffline(engine, { limits: TIGHT_LIMITS });
  });
  afterAll(() => fixture.close());

  const writeRows = (dataset: Dataset, first: number, count = 3) => writeScores(fixture, dataset, first, count);
  const scores = (dataset: Dataset) => readScores(fixture.store, dataset);
  const parquetFiles = () => listFiles(join(fixture.dataDir, "groups")).filter((path) => path.endsWith(".parquet"));

  it("keeps rows in the log when the online store does not take them, and leaves no file behind", async () => {
    const dataset = fixture.newDataset({ group: "refused" });
    await writeRows(dataset, 0);
    const failing = fixture.another({
      beforeForget: async () => {
        throw new Error("The online store is away.");
      },
    });
    await expect(failing.flushOnce(dataset)).rejects.toThrow("away");
    expect(await scores(dataset)).toEqual([0, 1, 2]);
    expect(parquetFiles().filter((path) => path.includes("refused"))).toEqual([]);
    expect(await fixture.store.flushOnce(dataset)).toEqual({ rowCount: 3, fileCount: 1, more: false });
    expect(await scores(dataset)).toEqual([0, 1, 2]);
  });

  it("hands over to the online store exactly the rows that leave the log", async () => {
    const dataset = fixture.newDataset();
    await writeRows(dataset, 0, 5);
    const handed: string[] = [];
    const store = fixture.another({
      beforeForget: async (_, rows) => {
        handed.push(...rows.map(({ entity }) => entity));
      },
    });
    await store.flushOnce(dataset);
    expect(handed).toEqual([0, 1, 2, 3, 4].map((user) => `["user-${user}"]`));
  });

  it("ignores what a process left behind that died between writing a file and the commit, and removes it an hour later", async () => {
    const dataset = fixture.newDataset({ group: "orphaned" });
    await writeRows(dataset, 0);
    const aside = join(fixture.dataDir, "..", `aside-${engine.name}`);
    const dying = fixture.another({
      beforeForget: async () => {
        // The file is there as a death at this moment would leave it.
        cpSync(join(fixture.dataDir, "groups", "default", "orphaned"), aside, { recursive: true });
        throw new Error("killed");
      },
    });
    await expect(dying.flushOnce(dataset)).rejects.toThrow("killed");
    await cp(aside, join(fixture.dataDir, "groups", "default", "orphaned"), { recursive: true });
    const [orphan] = parquetFiles().filter((path) => path.includes("orphaned"));
    const unfinished = join(dirname(orphan!), ".writing-00000000-0000-7000-8000-000000000000.parquet");
    await writeFile(unfinished, "PAR1 and then the power went");

    expect(await scores(dataset)).toEqual([0, 1, 2]);
    await fixture.store.flushOnce(dataset);
    expect(await scores(dataset)).toEqual([0, 1, 2]);
    await fixture.store.removeLeftovers();
    expect([existsSync(orphan!), existsSync(unfinished)]).toEqual([true, true]);

    const longAgo = (Date.now() - HOUR_MS - 1000) / 1000;
    for (const path of parquetFiles()) await utimes(path, longAgo, longAgo);
    await fixture.store.removeLeftovers();
    expect([existsSync(orphan!), existsSync(unfinished)]).toEqual([false, false]);
    expect(await scores(dataset)).toEqual([0, 1, 2]);
  });

  it("refuses the commit of a process that was frozen until its file was taken for an orphan", async () => {
    const dataset = fixture.newDataset({ group: "frozen" });
    await writeRows(dataset, 0);
    const frozen = fixture.another({
      beforeForget: async () => {
        const longAgo = (Date.now() - HOUR_MS - 1000) / 1000;
        for (const path of parquetFiles()) await utimes(path, longAgo, longAgo);
        await fixture.store.removeLeftovers();
      },
    });
    await expect(frozen.flushOnce(dataset)).rejects.toThrow();
    expect(await scores(dataset)).toEqual([0, 1, 2]);
    await fixture.store.flushOnce(dataset);
    expect(await scores(dataset)).toEqual([0, 1, 2]);
  });

  it("lets only one of two gateways flush the same rows, and keeps one set of files", async () => {
    const dataset = fixture.newDataset({ group: "raced" });
    await writeRows(dataset, 0, 4);
    let both = 0;
    let meet = () => {};
    const met = new Promise<void>((resolve) => {
      meet = resolve;
    });
    const beforeForget = async () => {
      both += 1;
      if (both === 2) meet();
      await met;
    };
    const results = await Promise.all([
      fixture.another({ beforeForget }).flushOnce(dataset),
      fixture.another({ beforeForget }).flushOnce(dataset),
    ]);
    expect(results.map(({ rowCount }) => rowCount).sort()).toEqual([0, 4]);
    expect(await scores(dataset)).toEqual([0, 1, 2, 3]);
    expect(parquetFiles().filter((path) => path.includes("raced"))).toHaveLength(1);
  });

  it("answers a read that began before a compaction, and removes the old files when it has ended and the grace is over", async () => {
    let now = Date.now();
    const clock = { ...systemClock, now: () => now };
    const store = fixture.another({ clock, limits: { ...TIGHT_LIMITS, graceMs: 1000 } });
    const dataset = fixture.newDataset({ group: "compacted" });
    for (let first = 0; first < 9; first += 3) {
      await writeRows(dataset, first);
      await store.flushOnce(dataset);
    }
    const before = parquetFiles().filter((path) => path.includes("compacted"));
    expect(before).toHaveLength(3);
    const reading = store.scanLatest(dataset, { features: ["score"] })[Symbol.asyncIterator]();
    const first = await reading.next();

    expect((await store.compactOnce(dataset)).filesReplaced).toBe(3);
    expect((await store.compactOnce(dataset)).filesReplaced).toBe(0);
    now += 5000;
    await store.removeLeftovers();
    expect(before.every((path) => existsSync(path))).toBe(true);
    const read = [...first.value!.columns[0]!.values];
    for (let next = await reading.next(); !next.done; next = await reading.next()) {
      read.push(...next.value.columns[0]!.values);
    }
    expect(read.sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);

    expect((await store.removeLeftovers()).filesRemoved).toBe(3);
    expect(before.some((path) => existsSync(path))).toBe(false);
    expect(await scores(dataset)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect((await store.statistics([dataset.datasetId]))[0]).toMatchObject({ fileCount: 1, rowCount: 9 });
  });

  it("lets only one of two gateways compact the same files", async () => {
    const dataset = fixture.newDataset({ group: "both" });
    for (let first = 0; first < 6; first += 3) {
      await writeRows(dataset, first);
      await fixture.store.flushOnce(dataset);
    }
    await Promise.all([fixture.another().compactOnce(dataset), fixture.another().compactOnce(dataset)]);
    expect(await scores(dataset)).toEqual([0, 1, 2, 3, 4, 5]);
    expect((await fixture.store.statistics([dataset.datasetId]))[0]).toMatchObject({ fileCount: 1 });
  });

  it("sees each row once while rows are written, flushed and compacted all the time", async () => {
    const dataset = fixture.newDataset();
    const another = fixture.another();
    let written = 0;
    let done = false;
    const writing = (async () => {
      for (; written < 60; written += 3) await writeRows(dataset, written);
      done = true;
    })();
    const tidying = (async () => {
      while (!done) {
        await another.flushOnce(dataset);
        await another.compactOnce(dataset);
      }
    })();
    while (!done) {
      const atLeast = written;
      const seen = await scores(dataset);
      expect(seen).toEqual(Array.from({ length: seen.length }, (_, index) => index));
      expect(seen.length).toBeGreaterThanOrEqual(atLeast);
    }
    await Promise.all([writing, tidying]);
    expect(await scores(dataset)).toHaveLength(60);
  });

  it("does not make a file for each of a thousand days", async () => {
    const dataset = fixture.newDataset({ group: "backfilled" });
    const rows = Array.from({ length: 1000 }, (_, day) => ({
      keys: ["user"],
      eventTime: BASE - day * MICROS_PER_DAY,
      values: [day],
    }));
    await fixture.write(dataset, rows);
    await fixture.store.flushOnce(dataset);
    const files = parquetFiles().filter((path) => path.includes("backfilled"));
    expect(files).toHaveLength(1);
    expect(files[0]).toContain("day=mixed");
    expect((await fixture.store.statistics([dataset.datasetId]))[0]).toMatchObject({
      rowCount: 1000,
      minEventTime: BASE - 999 * MICROS_PER_DAY,
      maxEventTime: BASE,
    });
  });

  it("forgets a dataset, its files after the grace, and what is being flushed at that moment", async () => {
    let now = Date.now();
    const clock = { ...systemClock, now: () => now };
    const dataset = fixture.newDataset({ group: "removed" });
    await writeRows(dataset, 0);
    await fixture.store.flushOnce(dataset);
    await writeRows(dataset, 3);
    const store = fixture.another({ clock, beforeForget: () => fixture.store.removeDataset(dataset.datasetId) });
    expect((await store.flushOnce(dataset)).rowCount).toBe(0);
    expect(await scores(dataset)).toEqual([]);
    now += HOUR_MS;
    await store.removeLeftovers();
    expect(parquetFiles().filter((path) => path.includes("removed"))).toEqual([]);
  });

  it("refuses to flush rows with a feature that the caller does not know of", async () => {
    const old = fixture.newDataset();
    const grown: Dataset = { ...old, features: [...old.features, { name: "more", type: "STRING" }] };
    await fixture.write(grown, [{ keys: ["user"], eventTime: BASE, values: [1, "kept"] }]);
    await expect(fixture.store.flushOnce(old)).rejects.toMatchObject({ code: "ABORTED", reason: "DATASET_CHANGED" });
    await fixture.store.flushOnce(grown);
    const page = await fixture.store.range(grown, { features: ["more"], limit: 10 });
    expect(page.columns[0]!.values).toEqual(["kept"]);
  });

  it("clears away what a process spilled that died long ago, and not what is in use", async () => {
    const spill = join(fixture.dataDir, "duckdb-spill", "of-the-dead");
    await mkdir(spill, { recursive: true });
    await writeFile(join(spill, "part"), "");
    const longAgo = (Date.now() - 25 * HOUR_MS) / 1000;
    for (const path of [join(spill, "part"), spill]) await utimes(path, longAgo, longAgo);
    const before = await readdir(join(fixture.dataDir, "duckdb-spill"));
    await fixture.store.removeLeftovers();
    expect(existsSync(spill)).toBe(false);
    expect(await readdir(join(fixture.dataDir, "duckdb-spill"))).toHaveLength(before.length - 1);
    await rm(spill, { recursive: true, force: true });
  });
});

// With several connections only: PGlite has one, and nothing can come between.
describe("a dataset that is flushed in the middle of a read, on Postgres", () => {
  it("is seen as it was when the read began", async () => {
    const fixture = await openOffline(databaseEngines[1]!);
    onTestFinished(() => fixture.close());
    const dataset = fixture.newDataset();
    await writeScores(fixture, dataset, 0, 3);
    let flushed = 0;
    const reading = fixture.another({
      database: {
        ...fixture.database,
        transaction: (work) =>
          fixture.database.transaction((transaction) =>
            work({
              async query(text: string, values?: readonly unknown[]) {
                const result = await transaction.query(text, values);
                // The files have been listed, and the log is next.
                if (text.includes("FROM feature_files")) flushed += (await fixture.store.flushOnce(dataset)).rowCount;
                return result as never;
              },
            }),
          ),
      },
    });
    expect(await readScores(reading, dataset)).toEqual([0, 1, 2]);
    expect(flushed).toBe(3);
  });
});

/** `count` rows of different entities, all of one day. */
async function writeScores(fixture: OfflineFixture, dataset: Dataset, first: number, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, index) => ({
    keys: [`user-${first + index}`],
    eventTime: BASE + first + index,
    values: [first + index],
  }));
  await fixture.write(dataset, rows);
}

async function readScores(store: OfflineStore, dataset: Dataset) {
  const page = await store.range(dataset, { features: ["score"], limit: 1000 });
  return page.columns[0]!.values;
}

function listFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
