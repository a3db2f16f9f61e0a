import type { NamespaceScope } from "../../../core/call.ts";
import { AppError } from "../../../core/errors.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import type { FeatureJobProgress, FeatureJobResult, RefusedFileRow } from "./job-model.ts";
import type { StoredJob } from "./job-store.ts";

/** A job under way, as what does its work sees it. */
export interface JobRun {
  readonly job: StoredJob;
  /** The namespace as it is now. */
  readonly scope: NamespaceScope;
  /** Fires when the job was cancelled, is claimed by another gateway, or when this one stops. */
  readonly signal: AbortSignal;
  /** Says how far it is; it is written down now and then. */
  report(progress: Pick<FeatureJobProgress, "done" | "total">): void;
  /** Remembers the place reached, in the transaction that reaches it; refuses where the claim is lost. */
  keep(transaction: Queryable, place: object): Promise<void>;
}

export interface JobOutcome {
  readonly result: FeatureJobResult;
  /** Is done in the transaction that ends the job, or not at all. */
  readonly alongside?: ((transaction: Queryable) => Promise<void>) | undefined;
  /** Takes back what was made where the job turns out not to be ours any more. */
  readonly undo?: (() => Promise<void>) | undefined;
}

export type JobWork = (run: JobRun) => Promise<JobOutcome>;

/** The claim is lost: nothing that this runner does counts any more. */
export class JobLost extends Error {}

/** Rows of a file were refused; the job's error names them. */
export class RowsRefused extends AppError {
  readonly badRows: readonly RefusedFileRow[];

  constructor(message: string, badRows: readonly RefusedFileRow[]) {
    super("INVALID_ARGUMENT", "IMPORT_REFUSED", message);
    this.badRows = badRows;
  }
}
