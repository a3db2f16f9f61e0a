import { AppError, notFound, toAppError } from "../../../core/errors.ts";
import type { Component } from "../../../core/lifecycle.ts";
import type { Logger } from "../../../core/logger.ts";
import { createLoop, type Loop } from "../../../core/loop.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import type { NamespaceDirectory } from "../../tenancy/index.ts";
import type { FeatureJobError, FeatureJobKind, FeatureJobProgress } from "./job-model.ts";
import { JobLost, type JobOutcome, type JobRun, type JobWork, RowsRefused } from "./job-run.ts";
import * as store from "./job-store.ts";

/** A job whose gateway died is claimed by another after so long. */
const LEASE_MS = 10_000;
/** A job that was cancelled ends about this soon. */
const EXTEND_EVERY_MS = 500;
const LOOK_EVERY_MS = 1000;
const MAX_ATTEMPTS = 3;
const RETRY_AFTER_MS = 2000;
/**
 * What runs at the same time in one gateway: one job that fills the history, and one that reads it,
 * so that requests always find a free place in DuckDB.
 */
const LANES: readonly (readonly FeatureJobKind[])[] = [["IMPORT"], ["EXPORT", "REBUILD"]];

const ABANDONED: FeatureJobError = {
  reason: "ATTEMPTS_EXHAUSTED",
  message: `${MAX_ATTEMPTS} gateways began this job, and none of them ended it. Their logs may say why; start it again once that is mended.`,
  badRows: [],
};

export interface JobRunnerOptions {
  readonly database: Database;
  readonly directory: NamespaceDirectory;
  readonly work: Readonly<Record<FeatureJobKind, JobWork>>;
  readonly logger: Logger;
  /** Shorter in tests. */
  readonly leaseMs?: number | undefined;
}

export interface JobRunner extends Component {
  /** A job has been started: look for it at once. */
  hurry(): void;
}

/** Claims jobs and does them, one of a lane at a time. Every gateway runs it. */
export function createJobRunner(options: JobRunnerOptions): JobRunner {
  const loops = LANES.map(
    (kinds): Loop =>
      createLoop({
        name: `features.jobs.${kinds.join("+").toLowerCase()}`,
        intervalMs: LOOK_EVERY_MS,
        logger: options.logger,
        work: async (signal) => {
          await store.abandonJobs(options.database, MAX_ATTEMPTS, ABANDONED);
          return (await runNext(options, kinds, signal)) ? 0 : undefined;
        },
      }),
  );
  return {
    name: "feature jobs",
    hurry() {
      for (const loop of loops) loop.hurry(0);
    },
    async start() {
      for (const loop of loops) await loop.start();
    },
    async stop(deadlineMs) {
      await Promise.all(loops.map((loop) => loop.stop(deadlineMs)));
    },
  };
}

/** Whether there was one. */
async function runNext(
  options: JobRunnerOptions,
  kinds: readonly FeatureJobKind[],
  stopping: AbortSignal,
): Promise<boolean> {
  const { database, directory, work, leaseMs = LEASE_MS } = options;
  if (stopping.aborted) return false;
  const job = await store.claimJob(database, kinds, { leaseMs, maxAttempts: MAX_ATTEMPTS });
  if (job === undefined) return false;
  const claim = holdClaim(options, job, stopping);
  try {
    const scope = await directory.get(job.namespace);
    if (scope === undefined) throw notFound("namespace", job.namespace);
    const { signal, report } = claim;
    const keep: JobRun["keep"] = async (transaction, place) => {
      if (!(await store.keepPlace(transaction, job, place))) throw new JobLost();
    };
    const outcome = await work[job.kind]({ job, scope, signal, report, keep });
    await succeed(options, job, outcome, claim.progress());
  } catch (error) {
    if (!claim.isLost()) await settleFailure(options, job, error, stopping);
  } finally {
    await claim.release();
  }
  return true;
}

async function succeed(
  { database }: JobRunnerOptions,
  job: store.StoredJob,
  { result, alongside, undo }: JobOutcome,
  { total, done }: Pick<FeatureJobProgress, "done" | "total">,
): Promise<void> {
  try {
    await database.transaction(async (transaction) => {
      if (!(await store.succeedJob(transaction, job, result, total ?? done))) throw new JobLost();
      await alongside?.(transaction);
    });
  } catch (error) {
    // After any other error nobody knows whether the commit came through; what is not needed is found later.
    if (error instanceof JobLost || error instanceof AppError) await undo?.();
    throw error;
  }
}

async function settleFailure(
  { database, logger }: JobRunnerOptions,
  job: store.StoredJob,
  thrown: unknown,
  stopping: AbortSignal,
): Promise<void> {
  if (thrown instanceof JobLost) return;
  if (stopping.aborted) return store.giveBackJob(database, job, { afterMs: 0, uncounted: true });
  const error = toAppError(thrown);
  const mayPass = error.code === "UNAVAILABLE" || error.code === "ABORTED";
  if (mayPass && job.attempts < MAX_ATTEMPTS) {
    logger.warn(
      { err: error, jobId: job.jobId, kind: job.kind },
      "A feature job could not go on and will be tried again.",
    );
    return store.giveBackJob(database, job, { afterMs: RETRY_AFTER_MS * job.attempts, uncounted: false });
  }
  if (error.code === "INTERNAL")
    logger.error({ err: thrown, jobId: job.jobId, kind: job.kind }, "A feature job failed.");
  const badRows = error instanceof RowsRefused ? [...error.badRows] : [];
  await store.failJob(database, job, { reason: error.reason, message: error.message, badRows });
}

interface HeldClaim {
  readonly signal: AbortSignal;
  report(progress: Pick<FeatureJobProgress, "done" | "total">): void;
  progress(): Pick<FeatureJobProgress, "done" | "total">;
  isLost(): boolean;
  release(): Promise<void>;
}

/** Extends the claim now and then, until it is released or lost. */
function holdClaim(options: JobRunnerOptions, job: store.StoredJob, stopping: AbortSignal): HeldClaim {
  const { database, logger, leaseMs = LEASE_MS } = options;
  const lost = new AbortController();
  let progress: Pick<FeatureJobProgress, "done" | "total"> = {
    done: job.progressDone,
    ...(job.progressTotal === null ? {} : { total: job.progressTotal }),
  };
  let heldUntil = performance.now() + leaseMs;
  let extending = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let isReleased = false;

  const lose = () =>
    lost.abort(new AppError("CANCELLED", "JOB_LOST", "The job was cancelled, or another gateway has taken it over."));
  const extend = async () => {
    const from = performance.now();
    try {
      if (await store.extendClaim(database, job, leaseMs, progress)) heldUntil = from + leaseMs;
      else lose();
    } catch (error) {
      logger.warn({ err: error, jobId: job.jobId }, "The claim of a feature job could not be extended.");
      if (performance.now() > heldUntil) lose();
    }
    schedule();
  };
  const schedule = () => {
    if (isReleased || lost.signal.aborted) return;
    timer = setTimeout(
      () => {
        extending = extend();
      },
      Math.min(EXTEND_EVERY_MS, leaseMs / 3),
    );
  };
  schedule();

  return {
    signal: AbortSignal.any([stopping, lost.signal]),
    report(next) {
      progress = next;
    },
    progress: () => progress,
    isLost: () => lost.signal.aborted,
    async release() {
      isReleased = true;
      clearTimeout(timer);
      await extending;
    },
  };
}
