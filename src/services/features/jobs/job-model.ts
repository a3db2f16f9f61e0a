import { z } from "zod";
import { json } from "../../../core/json.ts";
import { nextPageTokenField, pageSizeField, pageTokenField } from "../../../core/page.ts";
import { enumeration, instant, message, namespaceField, text, uuidField } from "../../../core/schema.ts";
import { columnNameField, groupField, MAX_FEATURES, versionField } from "../definitions/group-model.ts";
import { QuarantineProblem } from "../ingestion/write-model.ts";
import { KnownAt } from "../reading/history-model.ts";
import { whatToRead } from "../reading/online-model.ts";
import { microInstant } from "../values/micro-instant.ts";

/** A refused import names so many rows. */
export const MAX_BAD_ROWS = 50;

export const FeatureJobKind = enumeration("FeatureJobKind", "What a job does.", {
  IMPORT: "Writes the rows of a file into a feature group.",
  EXPORT: "Makes a file of a point-in-time join, or of the rows of a group.",
  REBUILD: "Puts the newest rows of a group's history into the online store.",
});
export type FeatureJobKind = z.output<typeof FeatureJobKind>;

export const FeatureJobState = enumeration("FeatureJobState", "How far a job is.", {
  QUEUED: "It waits for a gateway.",
  RUNNING: "A gateway is at it.",
  SUCCEEDED: "It is done.",
  FAILED: "It ended without success; its error says why.",
  CANCELLED: "Somebody ended it.",
});
export type FeatureJobState = z.output<typeof FeatureJobState>;

export const FeatureJobUnit = enumeration("FeatureJobUnit", "What a job's progress counts.", {
  ROWS: "Rows.",
  PERCENT: "Hundredths of all there is to do.",
});
export type FeatureJobUnit = z.output<typeof FeatureJobUnit>;

export const FeatureJobProgress = message("FeatureJobProgress", "How far a job has got.", {
  done: z.int().describe("What is done."),
  total: z.int().optional().describe("What there is to do; absent where that is not known beforehand."),
  unit: FeatureJobUnit,
});
export type FeatureJobProgress = z.output<typeof FeatureJobProgress>;

export const FeatureJobResult = message("FeatureJobResult", "What a job came to.", {
  rowCount: z.int().describe("Rows that were written, exported or put online."),
  quarantinedRows: z.int().optional().describe("Of an import: bad rows that are kept in the quarantine."),
  fileId: uuidField("Of an export: the file, to be read with ReadFeatureFile.").optional(),
});
export type FeatureJobResult = z.output<typeof FeatureJobResult>;

export const RefusedFileRow = message("RefusedFileRow", "A row of a file that cannot be written.", {
  row: z.int().describe("Its place among the rows of the file, counted from 0; a header is no row."),
  problems: z.array(QuarantineProblem).describe("What is wrong with it."),
});
export type RefusedFileRow = z.output<typeof RefusedFileRow>;

export const FeatureJobError = message("FeatureJobError", "Why a job failed.", {
  reason: z.string().describe("For programs, e.g. `IMPORT_REFUSED`."),
  message: z.string().describe("For people, and how to mend it."),
  badRows: z.array(RefusedFileRow).describe(`Of an import: the first bad rows, at most ${MAX_BAD_ROWS}.`),
});
export type FeatureJobError = z.output<typeof FeatureJobError>;

export const FeatureJob = message("FeatureJob", "Work on many rows, which goes on when its gateway dies.", {
  namespace: namespaceField,
  jobId: uuidField("Its id."),
  kind: FeatureJobKind,
  state: FeatureJobState,
  group: groupField.optional().describe("The group that it writes, rebuilds or exports."),
  request: json("What was asked for."),
  progress: FeatureJobProgress,
  result: FeatureJobResult.optional().describe("Once it has SUCCEEDED."),
  error: FeatureJobError.optional().describe("Once it has FAILED."),
  attempts: z
    .int32()
    .describe("How often a gateway has begun it. One that dies leaves it to another, three times at most."),
  createdBy: z.string().describe("Who asked for it."),
  createdAt: instant("When it was asked for."),
  startedAt: instant("When a gateway began it, the last time.").optional(),
  finishedAt: instant("When it ended.").optional(),
});
export type FeatureJob = z.output<typeof FeatureJob>;

const jobNow = { job: FeatureJob.describe("The job as it is now.") };
const rangeOfTime = {
  from: microInstant("Only rows with event times from here on.").optional(),
  to: microInstant("Only rows with event times before this.").optional(),
};
const oneVersion = {
  group: groupField,
  version: versionField.optional().describe("Which version; the current one where absent."),
};

export const StartFeatureImportRequest = message("StartFeatureImportRequest", "Which file, and where its rows go.", {
  namespace: namespaceField,
  ...oneVersion,
  fileId: uuidField("A READY file. Its columns are the entity keys, features, and `event_time`; others are refused."),
});
export type StartFeatureImportRequest = z.output<typeof StartFeatureImportRequest>;
export const StartFeatureImportResponse = message("StartFeatureImportResponse", "The new job.", jobNow);

export const FeatureExportFormat = enumeration("FeatureExportFormat", "What an export makes.", {
  PARQUET: "Apache Parquet, which data frames and Arrow read.",
  CSV: "Text: a line with the columns' names, then one for each row.",
});

const exportFormatField = FeatureExportFormat.default("PARQUET");

export const StartFeatureExportRequest = message(
  "StartFeatureExportRequest",
  "A point-in-time join: what was true of each entity row at its own time.",
  {
    namespace: namespaceField,
    fileId: uuidField("A READY Parquet or CSV file of entity rows: the entity keys, and the time of each row."),
    ...whatToRead,
    timeColumn: text(200, 1)
      .default("event_time")
      .describe("The column with the time of each row; `event_time` where absent."),
    knownAt: KnownAt.default("ENTITY_TIME"),
    withStatus: z
      .boolean()
      .default(false)
      .describe("Add `<feature>__status` for each feature, and `<group>__event_time` for each group."),
    format: exportFormatField,
  },
);
export type StartFeatureExportRequest = z.output<typeof StartFeatureExportRequest>;
export const StartFeatureExportResponse = message("StartFeatureExportResponse", "The new job.", jobNow);

export const StartFeatureRowsExportRequest = message(
  "StartFeatureRowsExportRequest",
  "Which rows of a group, also those that later ones replaced.",
  {
    namespace: namespaceField,
    ...oneVersion,
    features: z
      .array(columnNameField("A feature of the group."))
      .max(MAX_FEATURES)
      .default([])
      .describe("Which features; all of the version where empty."),
    ...rangeOfTime,
    format: exportFormatField,
  },
);
export type StartFeatureRowsExportRequest = z.output<typeof StartFeatureRowsExportRequest>;
export const StartFeatureRowsExportResponse = message("StartFeatureRowsExportResponse", "The new job.", jobNow);

export const StartFeatureRebuildRequest = message("StartFeatureRebuildRequest", "What to put online again.", {
  namespace: namespaceField,
  ...oneVersion,
  ...rangeOfTime,
});
export type StartFeatureRebuildRequest = z.output<typeof StartFeatureRebuildRequest>;
export const StartFeatureRebuildResponse = message("StartFeatureRebuildResponse", "The new job.", jobNow);

const oneJob = { namespace: namespaceField, jobId: uuidField("The job.") };
export const GetFeatureJobRequest = message("GetFeatureJobRequest", "Which job.", oneJob);
export type GetFeatureJobRequest = z.output<typeof GetFeatureJobRequest>;
export const GetFeatureJobResponse = message("GetFeatureJobResponse", "The job.", jobNow);

export const CancelFeatureJobRequest = message("CancelFeatureJobRequest", "Which job to end.", oneJob);
export type CancelFeatureJobRequest = z.output<typeof CancelFeatureJobRequest>;
export const CancelFeatureJobResponse = message("CancelFeatureJobResponse", "The job.", jobNow);

export const ListFeatureJobsRequest = message("ListFeatureJobsRequest", "One page of jobs, newest first.", {
  namespace: namespaceField,
  state: FeatureJobState.optional().describe("Only jobs in this state."),
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListFeatureJobsRequest = z.output<typeof ListFeatureJobsRequest>;
export const ListFeatureJobsResponse = message("ListFeatureJobsResponse", "Jobs.", {
  jobs: z.array(FeatureJob).describe("Newest first."),
  nextPageToken: nextPageTokenField,
});
