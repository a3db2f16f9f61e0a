import { operation } from "../../../core/operation.ts";
import * as history from "./history-model.ts";
import type { HistoryService } from "./history-service.ts";
import { ReadFeaturesRequest, ReadFeaturesResponse } from "./online-model.ts";
import type { OnlineReadService } from "./online-read-service.ts";

const inNamespace = "/v1/namespaces/{namespace}";
const oneGroup = `${inNamespace}/featureGroups/{group}`;

interface History {
  readonly featureHistory: HistoryService;
}

export const readFeatures = operation({
  name: "features.read",
  summary: "Answers the newest values of entities, by view or by feature: what a model needs to predict.",
  description:
    "Columns, with a status for each value. FAILED_PRECONDITION, reason NOT_ONLINE, for groups that are not kept online.",
  rest: `POST ${inNamespace}/features:read`,
  grpc: "FeatureService/ReadFeatures",
  graphql: "query features",
  permission: "features.readValues",
  input: ReadFeaturesRequest,
  output: ReadFeaturesResponse,
  handle: ({ featureReads }: { readonly featureReads: OnlineReadService }, input) => featureReads.read(input),
});

export const readHistoricalFeatures = operation({
  name: "features.readHistorical",
  summary: "Answers what was true of each entity at its own time: what a model is trained on.",
  description:
    "A point-in-time join: no value comes from after the time asked about, nor, unless LATEST is asked for, from a row that was written after it. One row for each entity row, in order.",
  rest: `POST ${inNamespace}/features:readHistorical`,
  grpc: "FeatureService/ReadHistoricalFeatures",
  graphql: "query historicalFeatures",
  permission: "features.readValues",
  input: history.ReadHistoricalFeaturesRequest,
  output: history.ReadHistoricalFeaturesResponse,
  handle: ({ featureHistory }: History, input, call) => featureHistory.read(input, call),
});

export const listLatestFeatures = operation({
  name: "features.listLatest",
  summary: "Answers a page of a group's entities, each with its newest row.",
  rest: `GET ${oneGroup}/latest`,
  grpc: "FeatureService/ListLatestFeatures",
  graphql: "query latestFeatures",
  permission: "features.readValues",
  input: history.ListLatestFeaturesRequest,
  output: history.ListLatestFeaturesResponse,
  handle: ({ featureHistory }: History, input, call) => featureHistory.latest(input, call),
});

export const listFeatureRows = operation({
  name: "features.listRows",
  summary: "Answers a page of a group's rows within a range of event times, oldest first.",
  rest: `GET ${oneGroup}/rows`,
  grpc: "FeatureService/ListFeatureRows",
  graphql: "query featureRows",
  permission: "features.readValues",
  input: history.ListFeatureRowsRequest,
  output: history.ListFeatureRowsResponse,
  handle: ({ featureHistory }: History, input, call) => featureHistory.range(input, call),
});

export const getFeatureGroupStatistics = operation({
  name: "features.statistics",
  summary: "Answers how many rows are kept of a group, in how many files, and how fresh they are.",
  rest: `GET ${oneGroup}/statistics`,
  grpc: "FeatureService/GetFeatureGroupStatistics",
  graphql: "query featureGroupStatistics",
  permission: "features.read",
  input: history.GetFeatureGroupStatisticsRequest,
  output: history.GetFeatureGroupStatisticsResponse,
  handle: async ({ featureHistory }: History, input) => ({ statistics: await featureHistory.statistics(input) }),
});

/** Everything clients can do to get values out. */
export const readingOperations = [
  readFeatures,
  readHistoricalFeatures,
  listLatestFeatures,
  listFeatureRows,
  getFeatureGroupStatistics,
] as const;
