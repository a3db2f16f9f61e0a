import { z } from "zod";
import type { Call } from "../../../core/call.ts";
import { AppError, notFound } from "../../../core/errors.ts";
import type { IdGenerator } from "../../../core/ids.ts";
import { createPageTokens } from "../../../core/page.ts";
import { isPermitted } from "../../../core/principal.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import { permissionDenied } from "../../tenancy/index.ts";
import type { FeatureCatalog } from "../definitions/feature-catalog.ts";
import { getReady } from "../files/file-service.ts";
import { lockFile } from "../files/file-store.ts";
import { chooseFeatures, refuseOnlineOnly } from "../reading/history-service.ts";
import { entityFormat, sourcesOf } from "./export-job.ts";
import type * as model from "./job-model.ts";
import * as store from "./job-store.ts";
import { refuseRebuild } from "./rebuild-job.ts";

export interface JobServiceOptions {
  readonly database: Database;
  readonly catalog: FeatureCatalog;
  readonly ids: IdGenerator;
  /** Called when a job waits to be begun. */
  readonly onQueued: () => void;
}

/** Work on many rows: it is asked for here, and done by whichever gateway claims it. */
export interface JobService {
  startImport(request: model.StartFeatureImportRequest, call: Call): Promise<model.FeatureJob>;
  startExport(request: model.StartFeatureExportRequest, call: Call): Promise<model.FeatureJob>;
  startRowsExport(request: model.StartFeatureRowsExportRequest, call: Call): Promise<model.FeatureJob>;
  startRebuild(request: model.StartFeatureRebuildRequest, call: Call): Promise<model.FeatureJob>;
  get(request: model.GetFeatureJobRequest): Promise<model.FeatureJob>;
  list(request: model.ListFeatureJobsRequest): Promise<{ jobs: model.FeatureJob[]; nextPageToken?: string }>;
  cancel(request: model.CancelFeatureJobRequest, call: Call): Promise<model.FeatureJob>;
}

/** Of one namespace, that have not ended. */
const MAX_ACTIVE_JOBS = 100;
const PageToken = z.uuid();

/** What the caller must hold to start a job, and to end it. */
export const PERMISSION_OF_KIND: Readonly<Record<model.FeatureJobKind, string>> = {
  IMPORT: "features.write",
  EXPORT: "features.readValues",
  REBUILD: "features.manage",
};

export function createJobService({ database, catalog, ids, onQueued }: JobServiceOptions): JobService {
  const start = async (
    { principal }: Call,
    job: Omit<store.NewJob, "jobId" | "createdBy">,
  ): Promise<model.FeatureJob> => {
    const { namespace, kind, fileId } = job;
    // What everybody may read in a namespace that is open to all is not everybody's to work in.
    const permission = PERMISSION_OF_KIND[kind];
    if (!isPermitted(principal, permission, namespace)) throw permissionDenied(permission, namespace);
    const stored = await database.transaction(async (transaction) => {
      // The file stays from here on: nobody deletes it in between.
      if (fileId !== null && !(await lockFile(transaction, namespace, fileId))) throw notFound("feature file", fileId);
      const made = { ...job, jobId: ids.uuid(), createdBy: principal.id };
      return (await store.insertJob(transaction, made, MAX_ACTIVE_JOBS)) ?? refuseMore(namespace);
    });
    onQueued();
    return describeJob(stored);
  };

  return {
    async startImport(request, call) {
      const { namespace, group, fileId } = request;
      const { version } = await catalog.version(namespace, group, request.version);
      await getReady(database, namespace, fileId);
      // The version that is current now, whatever is when its turn comes.
      return start(call, { kind: "IMPORT", namespace, group, fileId, unit: "ROWS", request: { ...request, version } });
    },

    async startExport(request, call) {
      const { namespace, fileId } = request;
      entityFormat(await getReady(database, namespace, fileId));
      await sourcesOf(catalog, namespace, request);
      return start(call, { kind: "EXPORT", namespace, group: null, fileId, unit: "PERCENT", request });
    },

    async startRowsExport(request, call) {
      const { namespace, group } = request;
      const version = await catalog.version(namespace, group, request.version);
      refuseOnlineOnly(version);
      chooseFeatures(version, request.features);
      const pinned = { ...request, version: version.version };
      return start(call, { kind: "EXPORT", namespace, group, fileId: null, unit: "PERCENT", request: pinned });
    },

    async startRebuild(request, call) {
      const { namespace, group } = request;
      const version = await catalog.version(namespace, group, request.version);
      refuseRebuild(version);
      const pinned = { ...request, version: version.version };
      return start(call, { kind: "REBUILD", namespace, group, fileId: null, unit: "ROWS", request: pinned });
    },

    async get({ namespace, jobId }) {
      return describeJob((await store.getJob(database, namespace, jobId)) ?? missing(jobId));
    },

    async list({ namespace, state, pageSize, pageToken }) {
      const tokens = createPageTokens(PageToken, ["featureJobs.list", namespace, state]);
      const filter = { state, after: tokens.decode(pageToken), limit: pageSize + 1 };
      const found = await store.listJobs(database, namespace, filter);
      const page = found.slice(0, pageSize);
      const jobs = page.map(describeJob);
      if (found.length <= pageSize) return { jobs };
      return { jobs, nextPageToken: tokens.encode(page.at(-1)!.jobId) };
    },

    async cancel({ namespace, jobId }, { principal }) {
      const job = (await store.getJob(database, namespace, jobId)) ?? missing(jobId);
      const permission = PERMISSION_OF_KIND[job.kind];
      if (!isPermitted(principal, permission, namespace)) throw permissionDenied(permission, namespace);
      const cancelled = await store.cancelJob(database, namespace, jobId);
      return describeJob(cancelled ?? (await store.getJob(database, namespace, jobId)) ?? missing(jobId));
    },
  };
}

function describeJob(job: store.StoredJob): model.FeatureJob {
  const { jobId, namespace, kind, state, attempts, createdBy, createdAt, startedAt, finishedAt } = job;
  const { namespace: _, ...request } = job.request as Record<string, unknown>;
  return {
    ...{ jobId, namespace, kind, state, attempts, createdBy },
    ...(job.group === null ? {} : { group: job.group }),
    request: JSON.parse(JSON.stringify(request)),
    progress: {
      done: job.progressDone,
      ...(job.progressTotal === null ? {} : { total: job.progressTotal }),
      unit: job.progressUnit,
    },
    ...(job.result === null ? {} : { result: job.result }),
    ...(job.error === null ? {} : { error: job.error }),
    createdAt: createdAt.toISOString(),
    ...(startedAt === null ? {} : { startedAt: startedAt.toISOString() }),
    ...(finishedAt === null ? {} : { finishedAt: finishedAt.toISOString() }),
  };
}

function missing(jobId: string): never {
  throw notFound("feature job", jobId);
}

function refuseMore(namespace: string): never {
  throw new AppError(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_JOBS",
    `Namespace "${namespace}" has ${MAX_ACTIVE_JOBS} feature jobs that have not ended. Wait for some, or cancel them.`,
    { details: { quota: { subject: `namespaces/${namespace}`, description: "feature jobs" } } },
  );
}
