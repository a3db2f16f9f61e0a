import type { FieldViolation } from "../../../core/errors.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import type { FeatureRow } from "./write-model.ts";

/** A refused row as it is kept. */
export interface KeptRow {
  readonly rowId: string;
  readonly version: number;
  readonly row: FeatureRow;
  readonly problems: readonly FieldViolation[];
  readonly quarantinedAt: Date;
}

/** The group of a namespace whose quarantine is meant. */
export interface QuarantineOf {
  readonly namespace: string;
  readonly group: string;
}

const INSERT = `
  INSERT INTO feature_quarantine (row_id, namespace, group_name, version, sent, problems, quarantined_at)
  SELECT r.row_id, $1, $2, $3, r.sent, r.problems, now()
  FROM unnest($4::uuid[], $5::text[], $6::jsonb[]) AS r(row_id, sent, problems)`;

export async function keepRows(
  queryable: Queryable,
  { namespace, group }: QuarantineOf,
  version: number,
  rows: readonly Pick<KeptRow, "rowId" | "row" | "problems">[],
): Promise<void> {
  await queryable.query(INSERT, [
    namespace,
    group,
    version,
    rows.map(({ rowId }) => rowId),
    rows.map(({ row }) => JSON.stringify(row)),
    rows.map(({ problems }) => JSON.stringify(problems)),
  ]);
}

interface Row {
  readonly rowId: string;
  readonly version: number;
  readonly sent: string;
  readonly problems: FieldViolation[];
  readonly quarantinedAt: Date;
}

const COLUMNS = `row_id AS "rowId", version, sent, problems, quarantined_at AS "quarantinedAt"`;

const toKept = ({ sent, ...row }: Row): KeptRow => ({ ...row, row: JSON.parse(sent) as FeatureRow });

const LIST = `
  SELECT ${COLUMNS} FROM feature_quarantine
  WHERE namespace = $1 AND group_name = $2 AND ($3::uuid IS NULL OR row_id > $3::uuid) ORDER BY row_id LIMIT $4`;

/** Oldest first, beginning after the row of that id: ids are in the order of time. */
export async function listKept(
  queryable: Queryable,
  { namespace, group }: QuarantineOf,
  after: string | undefined,
  limit: number,
): Promise<KeptRow[]> {
  const { rows } = await queryable.query<Row>(LIST, [namespace, group, after ?? null, limit]);
  return rows.map(toKept);
}

const TAKE = `
  SELECT ${COLUMNS} FROM feature_quarantine
  WHERE namespace = $1 AND group_name = $2 AND row_id = ANY($3::uuid[]) ORDER BY row_id FOR UPDATE`;

/** Locks rows, so that nobody else replays them meanwhile. */
export async function lockKept(
  transaction: Queryable,
  { namespace, group }: QuarantineOf,
  rowIds: readonly string[],
): Promise<KeptRow[]> {
  const { rows } = await transaction.query<Row>(TAKE, [namespace, group, rowIds]);
  return rows.map(toKept);
}

const DELETE = "DELETE FROM feature_quarantine WHERE namespace = $1 AND group_name = $2 AND row_id = ANY($3::uuid[])";
const DELETE_ALL = "DELETE FROM feature_quarantine WHERE namespace = $1 AND group_name = $2";

/** Deletes the rows, or all of the group where none are named; answers how many. */
export async function deleteKept(
  queryable: Queryable,
  { namespace, group }: QuarantineOf,
  rowIds: readonly string[],
): Promise<number> {
  const { rowCount } =
    rowIds.length > 0
      ? await queryable.query(DELETE, [namespace, group, rowIds])
      : await queryable.query(DELETE_ALL, [namespace, group]);
  return rowCount;
}

const COUNT = `
  SELECT count(*)::int AS count
  FROM (SELECT 1 FROM feature_quarantine WHERE namespace = $1 AND group_name = $2 LIMIT $3) AS found`;

/** How many rows are kept for the group; it stops counting at `limit`. */
export async function countKept(
  queryable: Queryable,
  { namespace, group }: QuarantineOf,
  limit: number,
): Promise<number> {
  const { rows } = await queryable.query<{ count: number }>(COUNT, [namespace, group, limit]);
  return rows[0]!.count;
}
