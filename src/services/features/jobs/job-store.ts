import type { Queryable } from "../../../platform/postgres/database.ts";
import type {
  FeatureJobError,
  FeatureJobKind,
  FeatureJobProgress,
  FeatureJobResult,
  FeatureJobState,
  FeatureJobUnit,
} from "./job-model.ts";

/** A job as its row has it. */
export interface StoredJob {
  readonly jobId: string;
  readonly namespace: string;
  readonly kind: FeatureJobKind;
  readonly state: FeatureJobState;
  readonly group: string | null;
  readonly request: unknown;
  readonly place: unknown;
  readonly progressDone: number;
  readonly progressTotal: number | null;
  readonly progressUnit: FeatureJobUnit;
  readonly result: FeatureJobResult | null;
  readonly error: FeatureJobError | null;
  readonly attempts: number;
  readonly fence: number;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
}

/** What a runner shows to change a job: a claim that others have not followed. */
export type JobClaim = Pick<StoredJob, "jobId" | "fence">;

const COLUMNS = `
  job_id AS "jobId", namespace, kind, state, group_name AS "group", request, place, progress_done AS "progressDone",
  progress_total AS "progressTotal", progress_unit AS "progressUnit", result, error, attempts, fence,
  created_by AS "createdBy", created_at AS "createdAt", started_at AS "startedAt", finished_at AS "finishedAt"`;
const IS_ACTIVE = "state IN ('QUEUED', 'RUNNING')";
const IS_CLAIM = "job_id = $1 AND fence = $2 AND state = 'RUNNING'";
const FROM_NOW = (parameter: string) => `now() + make_interval(secs => ${parameter} / 1000.0)`;

export interface NewJob extends Pick<StoredJob, "jobId" | "namespace" | "kind" | "group" | "request" | "createdBy"> {
  readonly fileId: string | null;
  readonly unit: FeatureJobUnit;
}

const INSERT = `
  INSERT INTO feature_jobs (job_id, namespace, kind, state, group_name, file_id, request, progress_done, progress_unit,
    attempts, fence, due_at, created_by, created_at)
  SELECT $1, $2, $3, 'QUEUED', $4, $5, $6::json, 0, $7, 0, 0, now(), $8, now()
  WHERE (SELECT count(*) FROM feature_jobs WHERE namespace = $2 AND ${IS_ACTIVE}) < $9
  RETURNING ${COLUMNS}`;

/** Undefined where the namespace has `maxActive` jobs that have not ended. */
export async function insertJob(queryable: Queryable, job: NewJob, maxActive: number): Promise<StoredJob | undefined> {
  const { jobId, namespace, kind, group, fileId, request, unit, createdBy } = job;
  const values = [jobId, namespace, kind, group, fileId, JSON.stringify(request), unit, createdBy, maxActive];
  return (await queryable.query<StoredJob>(INSERT, values)).rows[0];
}

const GET = `SELECT ${COLUMNS} FROM feature_jobs WHERE namespace = $1 AND job_id = $2`;

export async function getJob(queryable: Queryable, namespace: string, jobId: string): Promise<StoredJob | undefined> {
  return (await queryable.query<StoredJob>(GET, [namespace, jobId])).rows[0];
}

const LIST = `
  SELECT ${COLUMNS} FROM feature_jobs
  WHERE namespace = $1 AND ($2::text IS NULL OR state = $2::text) AND ($3::uuid IS NULL OR job_id < $3::uuid)
  ORDER BY job_id DESC LIMIT $4`;

/** Newest first, beginning after the one of that id: ids are in the order of time. */
export async function listJobs(
  queryable: Queryable,
  namespace: string,
  filter: { readonly state: FeatureJobState | undefined; readonly after: string | undefined; readonly limit: number },
): Promise<StoredJob[]> {
  const values = [namespace, filter.state ?? null, filter.after ?? null, filter.limit];
  return (await queryable.query<StoredJob>(LIST, values)).rows;
}

const CANCEL = `
  UPDATE feature_jobs SET state = 'CANCELLED', fence = fence + 1, finished_at = now()
  WHERE namespace = $1 AND job_id = $2 AND ${IS_ACTIVE} RETURNING ${COLUMNS}`;

/** From here on its runner changes nothing any more, and finds out. Undefined where it had ended. */
export async function cancelJob(queryable: Queryable, namespace: string, jobId: string) {
  return (await queryable.query<StoredJob>(CANCEL, [namespace, jobId])).rows[0];
}

// Of the namespaces that wait, the one that was served longest ago is next.
const CLAIM = `
  UPDATE feature_jobs SET state = 'RUNNING', fence = fence + 1, attempts = attempts + 1, started_at = now(),
    due_at = ${FROM_NOW("$2")}
  WHERE job_id = (
    SELECT job_id FROM feature_jobs j WHERE ${IS_ACTIVE} AND due_at <= now() AND kind = ANY($1::text[]) AND attempts < $3
    ORDER BY (SELECT max(started_at) FROM feature_jobs s WHERE s.namespace = j.namespace) NULLS FIRST, job_id
    LIMIT 1 FOR UPDATE SKIP LOCKED)
  RETURNING ${COLUMNS}`;

/** Takes the next job that nobody is at, for so long. */
export async function claimJob(
  queryable: Queryable,
  kinds: readonly FeatureJobKind[],
  { leaseMs, maxAttempts }: { readonly leaseMs: number; readonly maxAttempts: number },
): Promise<StoredJob | undefined> {
  return (await queryable.query<StoredJob>(CLAIM, [kinds, leaseMs, maxAttempts])).rows[0];
}

const ABANDON = `
  UPDATE feature_jobs SET state = 'FAILED', fence = fence + 1, finished_at = now(), error = $2::json
  WHERE ${IS_ACTIVE} AND due_at <= now() AND attempts >= $1`;

/** Ends jobs whose last attempt was not finished by its gateway. */
export async function abandonJobs(queryable: Queryable, maxAttempts: number, error: FeatureJobError): Promise<void> {
  await queryable.query(ABANDON, [maxAttempts, JSON.stringify(error)]);
}

const EXTEND = `
  UPDATE feature_jobs SET due_at = ${FROM_NOW("$3")}, progress_done = $4, progress_total = $5 WHERE ${IS_CLAIM}`;

/** Holds the claim for longer and says how far the job is. False where the claim is lost. */
export async function extendClaim(
  queryable: Queryable,
  { jobId, fence }: JobClaim,
  leaseMs: number,
  { done, total }: Pick<FeatureJobProgress, "done" | "total">,
): Promise<boolean> {
  return (await queryable.query(EXTEND, [jobId, fence, leaseMs, done, total ?? null])).rowCount === 1;
}

const KEEP = `UPDATE feature_jobs SET place = $3::json WHERE ${IS_CLAIM}`;

/** Remembers the place that was reached; within the transaction that reaches it. False where the claim is lost. */
export async function keepPlace(queryable: Queryable, { jobId, fence }: JobClaim, place: object): Promise<boolean> {
  return (await queryable.query(KEEP, [jobId, fence, JSON.stringify(place)])).rowCount === 1;
}

const SUCCEED = `
  UPDATE feature_jobs SET state = 'SUCCEEDED', finished_at = now(), result = $3::json,
    progress_done = $4, progress_total = $4 WHERE ${IS_CLAIM}`;

export async function succeedJob(
  queryable: Queryable,
  { jobId, fence }: JobClaim,
  result: FeatureJobResult,
  done: number,
): Promise<boolean> {
  return (await queryable.query(SUCCEED, [jobId, fence, JSON.stringify(result), done])).rowCount === 1;
}

const FAIL = `UPDATE feature_jobs SET state = 'FAILED', finished_at = now(), error = $3::json WHERE ${IS_CLAIM}`;

export async function failJob(queryable: Queryable, { jobId, fence }: JobClaim, error: FeatureJobError): Promise<void> {
  await queryable.query(FAIL, [jobId, fence, JSON.stringify(error)]);
}

const GIVE_BACK = `
  UPDATE feature_jobs SET state = 'QUEUED', due_at = ${FROM_NOW("$3")}, attempts = attempts - $4 WHERE ${IS_CLAIM}`;

/** Leaves the job to whoever claims it next, after a while. An attempt that was not its fault is taken back. */
export async function giveBackJob(
  queryable: Queryable,
  { jobId, fence }: JobClaim,
  { afterMs, uncounted }: { readonly afterMs: number; readonly uncounted: boolean },
): Promise<void> {
  await queryable.query(GIVE_BACK, [jobId, fence, afterMs, uncounted ? 1 : 0]);
}

const PURGE = `
  DELETE FROM feature_jobs WHERE job_id IN (
    SELECT job_id FROM feature_jobs WHERE finished_at < now() - make_interval(secs => $1 / 1000.0) LIMIT $2)`;

/** Forgets jobs that ended so long ago; answers how many. */
export async function purgeJobs(queryable: Queryable, endedForMs: number, limit: number): Promise<number> {
  return (await queryable.query(PURGE, [endedForMs, limit])).rowCount;
}
