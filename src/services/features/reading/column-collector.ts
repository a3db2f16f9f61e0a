import type { ResolvedColumn, ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { PointInTimeChunk } from "../offline/offline-store.ts";
import type { StoredValue } from "../values/feature-type.ts";
import { type Micros, microsToText } from "../values/micros.ts";
import { answerValues } from "./answer-columns.ts";
import type { FeatureStatus } from "./column-model.ts";
import type { ReadHistoricalFeaturesResponse } from "./history-model.ts";

export interface ColumnCollector {
  add(chunk: PointInTimeChunk): void;
  answer(): ReadHistoricalFeaturesResponse;
}

interface Collected {
  readonly values: (StoredValue | null)[];
  readonly statuses: FeatureStatus[];
}

/** Puts the chunks of a point-in-time read together into columns, in the order in which they were asked for. */
export function createColumnCollector(
  versions: readonly ResolvedVersion[],
  columns: readonly ResolvedColumn[],
): ColumnCollector {
  // A feature may be asked for under two names; its source has it once.
  const wanted = versions.map((version) => [
    ...new Set(columns.filter((column) => column.version === version).map(({ feature }) => feature.name)),
  ]);
  const eventTimes = versions.map((): (Micros | null)[] => []);
  const collected = wanted.map((names) => names.map((): Collected => ({ values: [], statuses: [] })));

  return {
    add({ sources }) {
      for (const [index, source] of sources.entries()) {
        append(eventTimes[index]!, source.eventTimes);
        for (const [place, { values, statuses }] of source.columns.entries()) {
          append(collected[index]![place]!.values, values);
          append(collected[index]![place]!.statuses, statuses);
        }
      }
    },
    answer: () => ({
      columns: columns.map(({ name, version, feature }) => {
        const source = versions.indexOf(version);
        const { values, statuses } = collected[source]![wanted[source]!.indexOf(feature.name)]!;
        return { name, source, values: answerValues(feature.type, values), statuses };
      }),
      sources: versions.map(({ namespace, group, version }, index) => ({
        ...{ namespace, group, version },
        eventTimes: eventTimes[index]!.map((time) => (time === null ? null : microsToText(time))),
      })),
    }),
  };
}

function append<Item>(to: Item[], items: readonly Item[]): void {
  for (const item of items) to.push(item);
}
