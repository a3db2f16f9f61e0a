import { z } from "zod";
import type { Call } from "../../../core/call.ts";
import { invalidArgument } from "../../../core/errors.ts";
import { createPageTokens } from "../../../core/page.ts";
import type { Database, Queryable } from "../../../platform/postgres/database.ts";
import type { FeatureCatalog } from "../definitions/feature-catalog.ts";
import { deleteKept, type KeptRow, listKept, lockKept, type QuarantineOf } from "./quarantine-store.ts";
import type {
  ListQuarantineRequest,
  PurgeQuarantineRequest,
  QuarantinedRow,
  ReplayQuarantineRequest,
} from "./write-model.ts";
import type { WriteService } from "./write-service.ts";

const PageToken = z.uuid();

export interface QuarantineService {
  list(request: ListQuarantineRequest): Promise<{ rows: QuarantinedRow[]; nextPageToken?: string }>;
  /** Writes rows again, mended or as they were. Those that are still bad stay, and all others leave, at once. */
  replay(
    request: ReplayQuarantineRequest,
    call: Call,
  ): Promise<{ version: number; writtenRows: number; stillBad: QuarantinedRow[] }>;
  purge(request: PurgeQuarantineRequest): Promise<number>;
}

export interface QuarantineServiceOptions {
  readonly database: Database;
  readonly catalog: FeatureCatalog;
  readonly writes: WriteService;
}

export function createQuarantineService({ database, catalog, writes }: QuarantineServiceOptions): QuarantineService {
  return {
    async list({ namespace, group, pageSize, pageToken }) {
      await catalog.version(namespace, group, undefined);
      const tokens = createPageTokens(PageToken, ["features.listQuarantine", namespace, group]);
      const found = await listKept(database, { namespace, group }, tokens.decode(pageToken), pageSize + 1);
      const rows = found.slice(0, pageSize).map((kept) => toAnswer(group, kept));
      if (found.length <= pageSize) return { rows };
      return { rows, nextPageToken: tokens.encode(rows.at(-1)!.rowId) };
    },

    async replay({ namespace, group, version: number, rows: mended }, call) {
      const of: QuarantineOf = { namespace, group };
      const version = await catalog.version(namespace, group, number);
      const rowIds = mended.map(({ rowId }) => rowId);
      refuseRepeated(rowIds);
      const kept = await readAll(database, of, rowIds);
      const rows = mended.map(({ row }, index) => row ?? kept[index]!.row);
      const { good, bad } = writes.sort(version, rows);
      const stillBad = new Map(bad.map(({ index, problems }) => [index, problems]));
      const leaving = rowIds.filter((_, index) => !stillBad.has(index));
      await writes.commit(version, good, call, async (transaction) => {
        // Whoever replayed one of them meanwhile has written it already.
        await readAll(transaction, of, leaving);
        if (leaving.length > 0) await deleteKept(transaction, of, leaving);
      });
      return {
        version: version.version,
        writtenRows: good.length,
        stillBad: [...stillBad].map(([index, problems]) =>
          toAnswer(group, { ...kept[index]!, row: rows[index]!, problems }),
        ),
      };
    },

    async purge({ namespace, group, rowIds }) {
      await catalog.version(namespace, group, undefined);
      return deleteKept(database, { namespace, group }, rowIds);
    },
  };
}

/** The kept rows in the order of their ids' list; refused where one of them is not there. */
async function readAll(queryable: Queryable, of: QuarantineOf, rowIds: readonly string[]): Promise<KeptRow[]> {
  if (rowIds.length === 0) return [];
  const found = new Map((await lockKept(queryable, of, rowIds)).map((kept) => [kept.rowId, kept]));
  const missing = rowIds.flatMap((rowId, index) =>
    found.has(rowId)
      ? []
      : [
          {
            field: `rows[${index}].rowId`,
            message: "is not in this quarantine: it was replayed or purged, or never there",
          },
        ],
  );
  if (missing.length > 0) throw invalidArgument(missing);
  return rowIds.map((rowId) => found.get(rowId)!);
}

function refuseRepeated(rowIds: readonly string[]): void {
  const repeated = rowIds.flatMap((rowId, index) =>
    rowIds.indexOf(rowId) < index ? [{ field: `rows[${index}].rowId`, message: "is named twice" }] : [],
  );
  if (repeated.length > 0) throw invalidArgument(repeated);
}

function toAnswer(group: string, { rowId, version, row, problems, quarantinedAt }: KeptRow): QuarantinedRow {
  return { rowId, group, version, row, problems: [...problems], quarantinedAt: quarantinedAt.toISOString() };
}
