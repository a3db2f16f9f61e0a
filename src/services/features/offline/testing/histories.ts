import fc from "fast-check";
import type { EntityKeyValue } from "../../values/entity-key.ts";
import { MICROS_PER_DAY, type Micros } from "../../values/micros.ts";

/** Few values, close together, so that ties, late rows and edges come up in every other history. */
const BASE: Micros = Date.UTC(2027, 0, 31) * 1000;

const instant: fc.Arbitrary<Micros> = fc
  .tuple(fc.integer({ min: 0, max: 1 }), fc.integer({ min: -1, max: 2 }))
  .map(([day, micros]) => BASE + day * MICROS_PER_DAY + micros);

/** Few entities, so that they have several rows each; some are one text when keys are put together carelessly. */
const entityKeys: fc.Arbitrary<readonly [string, number]> = fc.constantFrom(
  ...([
    ["1", 11],
    ["11", 1],
    ["1,1", 1],
    ['1","1', -1],
    ["é'", Number.MAX_SAFE_INTEGER],
  ] as const),
);
const questionKeys: fc.Arbitrary<(EntityKeyValue | null)[]> = fc
  .tuple(entityKeys, fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 2, 3))
  .map(([[user, device], missing]) => [(missing & 1) === 1 ? null : user, (missing & 2) === 2 ? null : device]);

export type Step =
  | { readonly kind: "WRITE"; readonly createdAt: Micros; readonly rows: readonly WrittenRow[] }
  | { readonly kind: "FLUSH" }
  | { readonly kind: "COMPACT" }
  | { readonly kind: "ADD_FEATURE" };

export interface WrittenRow {
  readonly keys: readonly EntityKeyValue[];
  readonly eventTime: Micros;
  /** For as many features as there may ever be. */
  readonly values: readonly [number | null, string | null, number | null, string | null];
}

const texts = fc.constantFrom("", "a", "it's", "NULL", "漢字");

const writtenRow: fc.Arbitrary<WrittenRow> = fc.record({
  keys: entityKeys,
  eventTime: instant,
  values: fc.tuple(
    fc.option<number>(fc.double({ noNaN: true, noDefaultInfinity: true })),
    fc.option<string>(texts),
    fc.option<number>(fc.maxSafeInteger()),
    fc.option<string>(texts),
  ),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("WRITE" as const),
      createdAt: instant,
      rows: fc.array(writtenRow, { minLength: 1, maxLength: 12 }),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: "FLUSH" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "COMPACT" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "ADD_FEATURE" as const }) },
);

/** What happens to a dataset: writes, and what goes on in the background. */
export const histories = fc.array(step, { minLength: 1, maxLength: 12 });

/** What is asked of it afterwards. */
export const questions = fc.record({
  rows: fc.array(fc.record({ keys: questionKeys, time: instant }), { minLength: 1, maxLength: 20 }),
  ttlMicros: fc.option(
    fc.oneof(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: -3, max: 3 }).map((edge) => MICROS_PER_DAY + edge),
    ),
    { nil: undefined },
  ),
  pageSize: fc.integer({ min: 1, max: 5 }),
});
