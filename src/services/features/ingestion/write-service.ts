import type { Call } from "../../../core/call.ts";
import type { Clock } from "../../../core/clock.ts";
import { AppError, type FieldViolation, invalidArgument } from "../../../core/errors.ts";
import type { IdGenerator } from "../../../core/ids.ts";
import type { Database, Queryable } from "../../../platform/postgres/database.ts";
import type { FeatureCatalog, ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { OfflineStore } from "../offline/offline-store.ts";
import { MICROS_PER_MS, type Micros } from "../values/micros.ts";
import type { EntityRow } from "../values/row-batch.ts";
import type { PutOnline } from "./put-online.ts";
import { countKept, keepRows, type QuarantineOf } from "./quarantine-store.ts";
import { type CheckedRow, compileRowChecker, type RowChecker } from "./row-checker.ts";
import type { StorageGuard } from "./storage-guard.ts";
import type { FeatureRow, WriteFeaturesRequest, WriteFeaturesResponse } from "./write-model.ts";

/** A refusal names this many fields at most: the first are enough to see what is wrong. */
const MAX_VIOLATIONS = 50;
/** A quarantine that nobody empties must not fill the database. */
const MAX_KEPT_ROWS = 100_000;

export interface WriteServiceOptions {
  readonly database: Database;
  readonly catalog: FeatureCatalog;
  readonly offline: OfflineStore;
  readonly putOnline: PutOnline;
  readonly checkStorage: StorageGuard;
  readonly clock: Clock;
  readonly ids: IdGenerator;
}

/** Rows of a write after their check, in the order in which they came. */
export interface SortedRows {
  readonly good: readonly EntityRow[];
  readonly bad: readonly { readonly index: number; readonly problems: readonly FieldViolation[] }[];
}

/** What became of a write in which nothing was refused as a whole. */
export interface Written {
  readonly writtenRows: number;
  readonly quarantinedRows: number;
}

/** What of a call counts: whose storage it is. */
export type WriteCall = Pick<Call, "namespace">;

export interface WriteService {
  write(request: WriteFeaturesRequest, call: Call): Promise<WriteFeaturesResponse>;
  /** What makes a checker for the rows of one write, as of `now` where given. */
  checker(version: ResolvedVersion, now?: Micros): RowChecker;
  /** Checks rows against a version without writing anything. */
  sort(version: ResolvedVersion, rows: readonly FeatureRow[]): SortedRows;
  /**
   * Writes checked rows as the version's validation says, together with what `alongside` does in the
   * same transaction; `rowAt` gives a bad row in the form it is kept in.
   */
  writeSorted(
    version: ResolvedVersion,
    sorted: SortedRows,
    rowAt: (index: number) => FeatureRow,
    call: WriteCall,
    alongside?: (transaction: Queryable) => Promise<void>,
  ): Promise<Written>;
  /**
   * Makes rows durable, together with what `alongside` does in the same transaction, and readable
   * online. Answers once they are both.
   */
  commit(
    version: ResolvedVersion,
    rows: readonly EntityRow[],
    call: WriteCall,
    alongside?: (transaction: Queryable) => Promise<void>,
  ): Promise<void>;
}

/** Takes rows in: checked against their schema, durable in the log, and then put online. */
export function createWriteService(options: WriteServiceOptions): WriteService {
  const { database, catalog, offline, putOnline, clock, ids } = options;
  // A version never changes, so what was compiled for it stays right as long as it is in use.
  const checkers = new WeakMap<ResolvedVersion, ReturnType<typeof compileRowChecker>>();

  const checkerFor = (version: ResolvedVersion) => {
    const known = checkers.get(version);
    if (known) return known;
    const compiled = compileRowChecker(version);
    checkers.set(version, compiled);
    return compiled;
  };

  const checker: WriteService["checker"] = (version, now = clock.now() * MICROS_PER_MS) => checkerFor(version)(now);

  const sort: WriteService["sort"] = (version, rows) => {
    const check = checker(version);
    return sortRows(rows.map(check.named));
  };

  const commit: WriteService["commit"] = async (version, rows, call, alongside) => {
    await options.checkStorage(call, sizeOf(rows));
    if (alongside === undefined) {
      await offline.append(version.dataset.datasetId, rows);
    } else {
      await database.transaction(async (transaction) => {
        await alongside(transaction);
        if (rows.length > 0) await offline.append(version.dataset.datasetId, rows, transaction);
      });
    }
    if (rows.length > 0) await putOnline(version, rows, { isWholeBatch: true });
  };

  const writeSorted: WriteService["writeSorted"] = async (version, { good, bad }, rowAt, call, more) => {
    if (bad.length > 0 && version.validation === "STRICT") throw refused(bad);
    const of = { namespace: version.namespace, group: version.group };
    const kept = bad.map(({ index, problems }) => ({ rowId: ids.uuid(), row: rowAt(index), problems }));
    const alongside = async (transaction: Queryable) => {
      await more?.(transaction);
      if (kept.length === 0) return;
      await checkQuarantine(transaction, of, kept.length);
      await keepRows(transaction, of, version.version, kept);
    };
    await commit(version, good, call, kept.length > 0 || more !== undefined ? alongside : undefined);
    return { writtenRows: good.length, quarantinedRows: kept.length };
  };

  return {
    checker,
    sort,
    writeSorted,
    commit,
    async write({ namespace, group, version: number, rows }, call) {
      const version = await catalog.version(namespace, group, number);
      const written = await writeSorted(version, sort(version, rows), (index) => rows[index]!, call);
      return { version: version.version, ...written };
    },
  };
}

/** Parts checked rows into those to write and those that are bad. */
export function sortRows(checked: Iterable<CheckedRow>): SortedRows {
  const good: EntityRow[] = [];
  const bad: { index: number; problems: readonly FieldViolation[] }[] = [];
  let index = 0;
  for (const row of checked) {
    if ("row" in row) good.push(row.row);
    else bad.push({ index, problems: row.problems });
    index += 1;
  }
  return { good, bad };
}

function sizeOf(rows: readonly EntityRow[]): number {
  return rows.reduce((sizeBytes, { entity, row }) => sizeBytes + entity.length + row.length, 0);
}

function refused(bad: SortedRows["bad"]): AppError {
  const violations = bad.flatMap(({ index, problems }) =>
    problems.map(({ field, message }) => ({ field: `rows[${index}].${field}`, message })),
  );
  return invalidArgument(violations.slice(0, MAX_VIOLATIONS));
}

async function checkQuarantine(transaction: Queryable, of: QuarantineOf, added: number): Promise<void> {
  if ((await countKept(transaction, of, MAX_KEPT_ROWS)) + added <= MAX_KEPT_ROWS) return;
  throw new AppError(
    "RESOURCE_EXHAUSTED",
    "QUARANTINE_FULL",
    `The quarantine of feature group "${of.group}" holds ${MAX_KEPT_ROWS} rows. Mend and replay them, or purge them, before more bad rows are sent.`,
    { details: { quota: { subject: `featureGroups/${of.group}`, description: "quarantined rows" } } },
  );
}
