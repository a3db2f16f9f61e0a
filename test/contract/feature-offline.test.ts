import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { KnownAt, OfflineStore, RangePlace, RowPage } from "../../src/services/features/offline/offline-store.ts";
import { histories, questions, type Step } from "../../src/services/features/offline/testing/histories.ts";
import {
  answerLatest,
  answerPointInTime,
  answerRange,
  type HistoryRow,
  type OracleQuestion,
} from "../../src/services/features/offline/testing/oracle.ts";
import type { Dataset } from "../../src/services/features/values/dataset.ts";
import type { EntityKeyValue } from "../../src/services/features/values/entity-key.ts";
import type { FeatureShape } from "../../src/services/features/values/feature-type.ts";
import { databaseEngines } from "./engines.ts";
import { type OfflineFixture, openOffline, TIGHT_LIMITS } from "./feature-offline-fixture.ts";

const FEATURES: readonly FeatureShape[] = [
  { name: "score", type: "DOUBLE" },
  { name: 'Country of "birth"', type: "STRING" },
  { name: "clicks", type: "INT64" },
  { name: "note", type: "STRING" },
];
const ENTITY_KEYS = [
  { name: "user", type: "STRING" },
  { name: "device id", type: "INT64" },
] as const;

const RUNS = { PGlite: 100, Postgres: 30 } as Record<string, number>;

describe.each(databaseEngines)("the offline store against plain TypeScript, on $name", (engine) => {
  let fixture: OfflineFixture;
  beforeAll(async () => {
    fixture = await openOffline(engine, { limits: TIGHT_LIMITS });
  });
  afterAll(() => fixture.close());

  it("answers as looking at every row would, wherever the rows are", { timeout: 240_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(histories, questions, async (steps, { rows, ttlMicros, pageSize }) => {
        const { dataset, history } = await play(fixture, steps);
        for (const knownAt of ["ENTITY_TIME", "LATEST"] as const) {
          const asked = { dataset, rows, knownAt, ttlMicros };
          expect(await askPointInTime(fixture.store, asked)).toEqual(
            rows.map((row) =>
              answerPointInTime(history, row, { knownAt, ttlMicros, featureCount: dataset.features.length }),
            ),
          );
        }
        const features = dataset.features.map(({ name }) => name);
        const latest = await allPages<readonly EntityKeyValue[]>((after) =>
          fixture.store.latest(dataset, { features, limit: pageSize, after }),
        );
        expect(latest).toEqual(answerLatest(history).map((row) => padded(row, dataset)));
        const range = await allPages<RangePlace>((after) =>
          fixture.store.range(dataset, { features, limit: pageSize * 4, after }),
        );
        expect(range).toEqual(answerRange(history).map((row) => padded(row, dataset)));
        const [statistics] = await fixture.store.statistics([dataset.datasetId]);
        expect(statistics?.rowCount).toBe(history.length);
      }),
      { numRuns: RUNS[engine.name]! },
    );
  });
});

async function play(
  { store, newDataset, write }: OfflineFixture,
  steps: readonly Step[],
): Promise<{ dataset: Dataset; history: HistoryRow[] }> {
  let dataset = newDataset({ entityKeys: ENTITY_KEYS, features: FEATURES.slice(0, 2) });
  const history: HistoryRow[] = [];
  for (const step of steps) {
    if (step.kind === "WRITE") history.push(...(await write(dataset, step.rows, step.createdAt)));
    else if (step.kind === "FLUSH") await store.flushOnce(dataset);
    else if (step.kind === "COMPACT") await store.compactOnce(dataset);
    else dataset = { ...dataset, features: FEATURES.slice(0, dataset.features.length + 1) };
  }
  return { dataset, history };
}

async function askPointInTime(
  store: OfflineStore,
  asked: {
    dataset: Dataset;
    rows: readonly OracleQuestion[];
    knownAt: KnownAt;
    ttlMicros: number | undefined;
  },
) {
  const { dataset, rows, knownAt, ttlMicros } = asked;
  const answers = [];
  const chunks = store.pointInTime({
    entities: {
      kind: "INLINE",
      keys: Object.fromEntries(
        dataset.entityKeys.map(({ name }, index) => [name, rows.map(({ keys }) => keys[index]!)]),
      ),
      times: rows.map(({ time }) => time),
    },
    sources: [{ dataset, features: dataset.features, ttlMicros }],
    knownAt,
  });
  for await (const { firstRow, rowCount, sources } of chunks) {
    expect(firstRow).toBe(answers.length);
    const { eventTimes, columns } = sources[0]!;
    for (let row = 0; row < rowCount; row++) {
      answers.push({
        eventTime: eventTimes[row]!,
        values: columns.map(({ values }) => values[row]!),
        statuses: columns.map(({ statuses }) => statuses[row]!),
      });
    }
  }
  return answers;
}

async function allPages<Place>(read: (after: Place | undefined) => Promise<RowPage<Place>>): Promise<HistoryRow[]> {
  const rows: HistoryRow[] = [];
  for (let place: Place | undefined; ; ) {
    const page = await read(place);
    for (let row = 0; row < page.rowCount; row++) {
      rows.push({
        keys: page.entities[row]!,
        eventTime: page.eventTimes[row]!,
        createdAt: page.createdAt[row]!,
        sequence: page.sequences[row]!,
        values: page.columns.map(({ values }) => values[row]!),
      });
    }
    place = page.next;
    if (place === undefined) return rows;
  }
}

/** A row as a reader of the newest version sees it. */
function padded(row: HistoryRow, { features }: Dataset): HistoryRow {
  return { ...row, values: features.map((_, index) => row.values[index] ?? null) };
}
