import { z } from "zod";
import type { Call } from "../../../core/call.ts";
import { AppError, type FieldViolation, invalidArgument } from "../../../core/errors.ts";
import { createPageTokens } from "../../../core/page.ts";
import type { FeatureCatalog, ResolvedColumn, ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { OfflineStore, PointInTimeSource, RowPage } from "../offline/offline-store.ts";
import { MICROS_PER_MS, microsFromText, microsToText } from "../values/micros.ts";
import { answerValues } from "./answer-columns.ts";
import { createColumnCollector } from "./column-collector.ts";
import type {
  FeatureGroupStatistics,
  FeatureRows,
  GetFeatureGroupStatisticsRequest,
  ListFeatureRowsRequest,
  ListLatestFeaturesRequest,
  ReadHistoricalFeaturesRequest,
  ReadHistoricalFeaturesResponse,
} from "./history-model.ts";
import { columnsToRead } from "./online-read-service.ts";
import { readEntities } from "./read-entities.ts";

interface RowsAnswer {
  readonly rows: FeatureRows;
  readonly nextPageToken?: string;
}

export interface HistoryService {
  /** Point-in-time reads: what was true of each entity at its own time. */
  read(request: ReadHistoricalFeaturesRequest, call: Call): Promise<ReadHistoricalFeaturesResponse>;
  latest(request: ListLatestFeaturesRequest, call: Call): Promise<RowsAnswer>;
  range(request: ListFeatureRowsRequest, call: Call): Promise<RowsAnswer>;
  statistics(request: GetFeatureGroupStatisticsRequest): Promise<FeatureGroupStatistics>;
}

const EntityPlace = z.array(z.union([z.string(), z.number()])).max(8);
const RangePlace = z.strictObject({ eventTime: z.number(), sequence: z.number() });

export function createHistoryService(catalog: FeatureCatalog, offline: OfflineStore): HistoryService {
  return {
    async read({ namespace, view, features, entities, times, knownAt }, call) {
      const columns = await columnsToRead(catalog, namespace, view, features);
      const versions = [...new Set(columns.map(({ version }) => version))];
      for (const version of versions) refuseOnlineOnly(version);
      const { rowCount, columns: keys } = readEntities(entities, versions);
      if (times.length !== rowCount) {
        throw invalidArgument([{ field: "times", message: `must have ${rowCount} times, one for each entity` }]);
      }
      const request = {
        entities: {
          kind: "INLINE" as const,
          keys: Object.fromEntries(keys),
          times: times.map((time) => microsFromText(time)!),
        },
        sources: versions.map((version) => sourceOf(version, columns)),
        knownAt,
      };
      const collector = createColumnCollector(versions, columns);
      for await (const chunk of offline.pointInTime(request, { signal: call.signal })) collector.add(chunk);
      return collector.answer();
    },

    async latest({ namespace, group, version: number, features, asOf, knownAt, pageSize, pageToken }, call) {
      const version = await versionWithHistory(namespace, group, number);
      const chosen = chooseFeatures(version, features);
      const list = ["features.listLatest", namespace, group, version.version, chosen, asOf, knownAt] as const;
      const tokens = createPageTokens(EntityPlace, list);
      const page = await offline.latest(
        version.dataset,
        {
          features: chosen,
          asOf: asOf === undefined ? undefined : microsFromText(asOf),
          knownAt,
          ttlMicros: ttlMicrosOf(version),
          limit: pageSize,
          after: tokens.decode(pageToken),
        },
        { signal: call.signal },
      );
      const rows = answerRows(version, chosen, page);
      return page.next === undefined ? { rows } : { rows, nextPageToken: tokens.encode([...page.next]) };
    },

    async range({ namespace, group, version: number, features, from, to, pageSize, pageToken }, call) {
      const version = await versionWithHistory(namespace, group, number);
      const chosen = chooseFeatures(version, features);
      const list = ["features.listRows", namespace, group, version.version, chosen, from, to] as const;
      const tokens = createPageTokens(RangePlace, list);
      const page = await offline.range(
        version.dataset,
        {
          features: chosen,
          from: from === undefined ? undefined : microsFromText(from),
          to: to === undefined ? undefined : microsFromText(to),
          limit: pageSize,
          after: tokens.decode(pageToken),
        },
        { signal: call.signal },
      );
      const rows = answerRows(version, chosen, page);
      return page.next === undefined ? { rows } : { rows, nextPageToken: tokens.encode(page.next) };
    },

    async statistics({ namespace, group, version: number }) {
      const version = await catalog.version(namespace, group, number);
      const [found] = await offline.statistics([version.dataset.datasetId]);
      const { rowCount, fileCount, sizeBytes, pendingRows, pendingBytes } = found!;
      const { minEventTime, maxEventTime, lastWrittenAt } = found!;
      return {
        version: version.version,
        ...{ rowCount, fileCount, sizeBytes, pendingRows, pendingBytes },
        ...(minEventTime === undefined ? {} : { earliestEventTime: microsToText(minEventTime) }),
        ...(maxEventTime === undefined ? {} : { latestEventTime: microsToText(maxEventTime) }),
        ...(lastWrittenAt === undefined
          ? {}
          : { lastWrittenAt: new Date(Math.floor(lastWrittenAt / MICROS_PER_MS)).toISOString() }),
      };
    },
  };

  async function versionWithHistory(namespace: string, group: string, number: number | undefined) {
    const version = await catalog.version(namespace, group, number);
    refuseOnlineOnly(version);
    return version;
  }
}

/** FAILED_PRECONDITION where the version keeps no history. */
export function refuseOnlineOnly({ group, version, offline }: ResolvedVersion): void {
  if (offline) return;
  throw new AppError(
    "FAILED_PRECONDITION",
    "NOT_OFFLINE",
    `Feature group "${group}" keeps no history in version ${version}. Read it online, or make a version that is offline.`,
  );
}

export function ttlMicrosOf({ ttlMs }: ResolvedVersion): number | undefined {
  return ttlMs === undefined ? undefined : ttlMs * MICROS_PER_MS;
}

function sourceOf(version: ResolvedVersion, columns: readonly ResolvedColumn[]): PointInTimeSource {
  const names = columns.filter((column) => column.version === version).map(({ feature }) => feature.name);
  return {
    dataset: version.dataset,
    features: [...new Set(names)].map((name) => ({ name })),
    ttlMicros: ttlMicrosOf(version),
  };
}

/** The named features of the version, or all of them. */
export function chooseFeatures(version: ResolvedVersion, names: readonly string[]): readonly string[] {
  const known = version.features.map(({ name }) => name);
  const unknown = names.flatMap((name, index): FieldViolation[] =>
    known.includes(name)
      ? []
      : [{ field: `features[${index}]`, message: `is not a feature of ${version.group}@v${version.version}` }],
  );
  if (unknown.length > 0) throw invalidArgument(unknown);
  return names.length > 0 ? [...new Set(names)] : known;
}

function answerRows(version: ResolvedVersion, names: readonly string[], page: RowPage<unknown>): FeatureRows {
  const types = new Map(version.features.map(({ name, type }) => [name, type]));
  return {
    version: version.version,
    entities: version.dataset.entityKeys.map(({ name }, index) => ({
      key: name,
      values: page.entities.map((entity) => entity[index]!),
    })),
    eventTimes: page.eventTimes.map(microsToText),
    writtenTimes: page.createdAt.map(microsToText),
    columns: names.map((name, index) => ({
      name,
      source: 0,
      values: answerValues(types.get(name)!, page.columns[index]!.values),
      statuses: [...page.columns[index]!.statuses],
    })),
  };
}
