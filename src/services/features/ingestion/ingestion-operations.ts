import { bidi, operation } from "../../../core/operation.ts";
import { IngestFeaturesRequest, IngestFeaturesResponse } from "./ingest-model.ts";
import type { IngestSession } from "./ingest-session.ts";
import type { QuarantineService } from "./quarantine-service.ts";
import * as model from "./write-model.ts";
import type { WriteService } from "./write-service.ts";

const oneGroup = "/v1/namespaces/{namespace}/featureGroups/{group}";

interface Quarantine {
  readonly quarantine: QuarantineService;
}

const ACKNOWLEDGED =
  "When this answers, the rows are durable and can be read. A newer event time wins over an older one, and at one event time the newer write: online and in the history alike, so that writing rows again does no harm.";

export const writeFeatures = operation({
  name: "features.write",
  summary: "Writes rows of one feature group.",
  description: `${ACKNOWLEDGED} Bad rows: INVALID_ARGUMENT, naming row and field, or the quarantine, as the group's validation says.`,
  rest: `POST ${oneGroup}/rows`,
  grpc: "FeatureService/WriteFeatures",
  graphql: "mutation writeFeatures",
  permission: "features.write",
  input: model.WriteFeaturesRequest,
  output: model.WriteFeaturesResponse,
  handle: ({ featureWrites }: { readonly featureWrites: WriteService }, input, call) =>
    featureWrites.write(input, call),
});

export const ingestFeatures = bidi({
  name: "features.ingest",
  summary: "Writes batches of rows over one stream, each answered once its rows are durable and can be read.",
  description: `${ACKNOWLEDGED} A bad batch is answered with what was wrong, and the stream goes on. The unary WriteFeatures does the same.`,
  grpc: "FeatureService/IngestFeatures",
  permission: "features.write",
  input: IngestFeaturesRequest,
  output: IngestFeaturesResponse,
  handle: ({ featureIngest }: { readonly featureIngest: IngestSession }, batches, call) => featureIngest(batches, call),
});

export const listQuarantine = operation({
  name: "features.listQuarantine",
  summary: "Answers a page of rows that validation refused, oldest first.",
  rest: `GET ${oneGroup}/quarantine`,
  grpc: "FeatureService/ListQuarantine",
  graphql: "query featureQuarantine",
  permission: "features.read",
  input: model.ListQuarantineRequest,
  output: model.ListQuarantineResponse,
  handle: ({ quarantine }: Quarantine, input) => quarantine.list(input),
});

export const replayQuarantine = operation({
  name: "features.replayQuarantine",
  summary: "Writes refused rows again, mended or as they were.",
  description:
    "Those that are good leave the quarantine as they are written; those that are still bad stay, and are answered.",
  rest: `POST ${oneGroup}/quarantine:replay`,
  grpc: "FeatureService/ReplayQuarantine",
  graphql: "mutation replayFeatureQuarantine",
  permission: "features.write",
  input: model.ReplayQuarantineRequest,
  output: model.ReplayQuarantineResponse,
  handle: ({ quarantine }: Quarantine, input, call) => quarantine.replay(input, call),
});

export const purgeQuarantine = operation({
  name: "features.purgeQuarantine",
  summary: "Deletes refused rows for good, the named ones or all of the group.",
  rest: `POST ${oneGroup}/quarantine:purge`,
  grpc: "FeatureService/PurgeQuarantine",
  graphql: "mutation purgeFeatureQuarantine",
  permission: "features.write",
  input: model.PurgeQuarantineRequest,
  output: model.PurgeQuarantineResponse,
  handle: async ({ quarantine }: Quarantine, input) => ({ purgedRows: await quarantine.purge(input) }),
});

/** Everything clients can do to get rows in. */
export const ingestionOperations = [
  writeFeatures,
  ingestFeatures,
  listQuarantine,
  replayQuarantine,
  purgeQuarantine,
] as const;
