import { operation } from "../../../core/operation.ts";
import * as model from "./job-model.ts";
import type { JobService } from "./job-service.ts";

interface Jobs {
  readonly featureJobs: JobService;
}

const allJobs = "/v1/namespaces/{namespace}/featureJobs";
const oneJob = `${allJobs}/{jobId}`;
const DURABLE = "The job goes on when its gateway dies or is stopped, with another one or after a restart.";

const FETCHED = "The job's result names the file; read it with ReadFeatureFile within 7 days.";

const startImport = operation({
  name: "featureJobs.startImport",
  summary: "Writes the rows of an uploaded file into a feature group, as a job.",
  description: `The same checks as for a write. Under STRICT one bad row refuses the whole file before anything is written, and the job's error names the first of them; under QUARANTINE the good rows are written and the bad ones kept. In CSV, lists, vectors and JSON stand as JSON text, and an empty value that is not quoted is none. \`unique\` holds within batches of 2000 rows. ${DURABLE}`,
  rest: `POST ${allJobs}:import`,
  grpc: "FeatureJobService/StartFeatureImport",
  graphql: "mutation startFeatureImport",
  permission: "features.write",
  input: model.StartFeatureImportRequest,
  output: model.StartFeatureImportResponse,
  handle: async ({ featureJobs }: Jobs, input, call) => ({ job: await featureJobs.startImport(input, call) }),
});

const startExport = operation({
  name: "featureJobs.startExport",
  summary: "Makes a Parquet or CSV file of a point-in-time join with an uploaded file of entity rows, as a job.",
  description: `One row for each entity row, in order and with all of its columns. ${FETCHED} ${DURABLE}`,
  rest: `POST ${allJobs}:export`,
  grpc: "FeatureJobService/StartFeatureExport",
  graphql: "mutation startFeatureExport",
  permission: "features.readValues",
  input: model.StartFeatureExportRequest,
  output: model.StartFeatureExportResponse,
  handle: async ({ featureJobs }: Jobs, input, call) => ({ job: await featureJobs.startExport(input, call) }),
});

const startRowsExport = operation({
  name: "featureJobs.startRowsExport",
  summary: "Makes a Parquet or CSV file of a group's rows within a range of event times, as a job.",
  description: `By event time; the file can be imported again. ${FETCHED} ${DURABLE}`,
  rest: `POST ${allJobs}:exportRows`,
  grpc: "FeatureJobService/StartFeatureRowsExport",
  graphql: "mutation startFeatureRowsExport",
  permission: "features.readValues",
  input: model.StartFeatureRowsExportRequest,
  output: model.StartFeatureRowsExportResponse,
  handle: async ({ featureJobs }: Jobs, input, call) => ({ job: await featureJobs.startRowsExport(input, call) }),
});

const startRebuild = operation({
  name: "featureJobs.startRebuild",
  summary: "Puts the newest rows of a group's history into the online store again, as a job.",
  description: `Reads and writes go on meanwhile: a row never replaces one that is newer. ${DURABLE}`,
  rest: `POST ${allJobs}:rebuild`,
  grpc: "FeatureJobService/StartFeatureRebuild",
  graphql: "mutation startFeatureRebuild",
  permission: "features.manage",
  input: model.StartFeatureRebuildRequest,
  output: model.StartFeatureRebuildResponse,
  handle: async ({ featureJobs }: Jobs, input, call) => ({ job: await featureJobs.startRebuild(input, call) }),
});

const getJob = operation({
  name: "featureJobs.get",
  summary: "Answers how a job stands.",
  rest: `GET ${oneJob}`,
  grpc: "FeatureJobService/GetFeatureJob",
  graphql: "query featureJob",
  permission: "features.read",
  input: model.GetFeatureJobRequest,
  output: model.GetFeatureJobResponse,
  handle: async ({ featureJobs }: Jobs, input) => ({ job: await featureJobs.get(input) }),
});

const listJobs = operation({
  name: "featureJobs.list",
  summary: "Answers a page of jobs, newest first. Jobs that have ended are kept for 30 days.",
  rest: `GET ${allJobs}`,
  grpc: "FeatureJobService/ListFeatureJobs",
  graphql: "query featureJobs",
  permission: "features.read",
  input: model.ListFeatureJobsRequest,
  output: model.ListFeatureJobsResponse,
  handle: ({ featureJobs }: Jobs, input) => featureJobs.list(input),
});

const cancelJob = operation({
  name: "featureJobs.cancel",
  summary: "Ends a job; one that has ended is answered as it is.",
  description:
    "From when this answers on, nothing more is written; what was written before stays. The caller must also hold what starting the job asks for.",
  rest: `POST ${oneJob}:cancel`,
  grpc: "FeatureJobService/CancelFeatureJob",
  graphql: "mutation cancelFeatureJob",
  permission: "features.read",
  input: model.CancelFeatureJobRequest,
  output: model.CancelFeatureJobResponse,
  handle: async ({ featureJobs }: Jobs, input, call) => ({ job: await featureJobs.cancel(input, call) }),
});

/** Everything clients can do with jobs. */
export const jobOperations = [
  startImport,
  startExport,
  startRowsExport,
  startRebuild,
  getJob,
  listJobs,
  cancelJob,
] as const;
