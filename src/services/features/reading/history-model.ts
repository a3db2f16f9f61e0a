import { z } from "zod";
import { nextPageTokenField, pageSizeField, pageTokenField } from "../../../core/page.ts";
import { enumeration, instant, message, namespaceField } from "../../../core/schema.ts";
import { columnNameField, groupField, MAX_FEATURES, versionField } from "../definitions/group-model.ts";
import { microInstant } from "../values/micro-instant.ts";
import { FeatureColumn, FeatureSource } from "./column-model.ts";
import { EntityColumn, entitiesField, MAX_READ_ENTITIES, whatToRead } from "./online-model.ts";

export const KnownAt = enumeration(
  "KnownAt",
  "Whose knowledge an answer is made from. ENTITY_TIME: what was written by the time asked about, so that nothing leaks from the future into training data. LATEST: all that is known now, corrections and late rows too.",
  ["ENTITY_TIME", "LATEST"],
);

const knownAtField = KnownAt.default("ENTITY_TIME");

export const ReadHistoricalFeaturesRequest = message(
  "ReadHistoricalFeaturesRequest",
  "Which features of which entities, each as of its own time.",
  {
    namespace: namespaceField,
    ...whatToRead,
    entities: entitiesField,
    times: z
      .array(microInstant("A time."))
      .min(1)
      .max(MAX_READ_ENTITIES)
      .describe("The time that each row asks about; as many as there are entities."),
    knownAt: knownAtField,
  },
);
export type ReadHistoricalFeaturesRequest = z.output<typeof ReadHistoricalFeaturesRequest>;

export const ReadHistoricalFeaturesResponse = message(
  "ReadHistoricalFeaturesResponse",
  "One row for each entity row, in its order. Of the rows whose event time is not after the time asked about, the latest answers; among equals the one written last.",
  {
    columns: z.array(FeatureColumn).describe("In the order of the view, or of the request."),
    sources: z.array(FeatureSource).describe("The group versions that the columns come from."),
  },
);
export type ReadHistoricalFeaturesResponse = z.output<typeof ReadHistoricalFeaturesResponse>;

const oneVersion = {
  namespace: namespaceField,
  group: groupField,
  version: versionField.optional().describe("Which version; the current one where absent."),
  features: z
    .array(columnNameField("A feature of the group."))
    .max(MAX_FEATURES)
    .default([])
    .describe("Which features; all of the version where empty."),
};

export const FeatureRows = message("FeatureRows", "Rows of one group version, as columns of equal length.", {
  version: versionField,
  entities: z.array(EntityColumn).describe("The entity keys."),
  eventTimes: z.array(microInstant("A time.")).describe("When each row was true."),
  writtenTimes: z.array(microInstant("A time.")).describe("When each row was written."),
  columns: z.array(FeatureColumn).describe("The features. Their source is always 0."),
});
export type FeatureRows = z.output<typeof FeatureRows>;
const rowsPage = { rows: FeatureRows, nextPageToken: nextPageTokenField };

export const ListLatestFeaturesRequest = message(
  "ListLatestFeaturesRequest",
  "One page of a group's entities, each with its newest row.",
  {
    ...oneVersion,
    asOf: microInstant("As of this time; now where absent.").optional(),
    knownAt: KnownAt.default("LATEST"),
    pageSize: pageSizeField,
    pageToken: pageTokenField,
  },
);
export type ListLatestFeaturesRequest = z.output<typeof ListLatestFeaturesRequest>;
export const ListLatestFeaturesResponse = message("ListLatestFeaturesResponse", "By entity.", rowsPage);

export const ListFeatureRowsRequest = message(
  "ListFeatureRowsRequest",
  "One page of a group's rows, by event time; also those that a later row replaced.",
  {
    ...oneVersion,
    from: microInstant("Event times from here on.").optional(),
    to: microInstant("Event times before this.").optional(),
    pageSize: pageSizeField,
    pageToken: pageTokenField,
  },
);
export type ListFeatureRowsRequest = z.output<typeof ListFeatureRowsRequest>;
export const ListFeatureRowsResponse = message("ListFeatureRowsResponse", "By event time.", rowsPage);

export const FeatureGroupStatistics = message("FeatureGroupStatistics", "What is kept of a group version.", {
  version: versionField,
  rowCount: z.int().describe("Rows in the history, those that wait to be written to files included."),
  fileCount: z.int().describe("Parquet files."),
  sizeBytes: z.int().describe("Bytes in Parquet files."),
  pendingRows: z.int().describe("Rows that are durable and wait to be written to files."),
  pendingBytes: z.int().describe("Their bytes."),
  earliestEventTime: microInstant("The earliest event time.").optional(),
  latestEventTime: microInstant("The latest event time: how fresh it is.").optional(),
  lastWrittenAt: instant("When a row was last written.").optional(),
});
export type FeatureGroupStatistics = z.output<typeof FeatureGroupStatistics>;
export const GetFeatureGroupStatisticsRequest = message("GetFeatureGroupStatisticsRequest", "Which group version.", {
  namespace: namespaceField,
  group: groupField,
  version: versionField.optional().describe("Which version; the current one where absent."),
});
export type GetFeatureGroupStatisticsRequest = z.output<typeof GetFeatureGroupStatisticsRequest>;
export const GetFeatureGroupStatisticsResponse = message(
  "GetFeatureGroupStatisticsResponse",
  "What is kept. Versions that share their rows answer the same.",
  { statistics: FeatureGroupStatistics },
);
