import type { Queryable } from "../../../platform/postgres/database.ts";
import type { TaskState } from "../task-model.ts";
import { conditions, type TaskFilter } from "./task-filter.ts";
import { type TaskRow, taskColumns } from "./task-row.ts";

/** A list looks at this many tasks at most before it answers with what it has found, however few that are. */
export const MAX_WALK = 10_000;
/** States that tasks leave: however many are kept, few are in them, and an index leads to those, and to some that have just left. */
const PASSING: Partial<Record<TaskState, string>> = {
  SCHEDULED: "SELECT id FROM tasks WHERE namespace = $1 AND due_at IS NOT NULL",
  READY: "SELECT id FROM tasks WHERE namespace = $1 AND ready_at IS NOT NULL",
  LEASED: "SELECT unnest(task_ids) AS id FROM lease_checks WHERE namespace = $1",
};
const DAY_MS = 86_400_000;

/** Where a page begins, after the task with id `after`, and how many tasks it may hold. */
export interface ListPage {
  readonly after: string | undefined;
  readonly size: number;
}

export interface TaskList {
  readonly rows: TaskRow[];
  /** The id after which the next page begins; undefined where this was the last. */
  readonly next: string | undefined;
}

/** A page of tasks, newest first. It may be short, or empty, and yet not the last: see MAX_WALK. */
export async function listTasks(
  queryable: Queryable,
  namespace: string,
  filter: TaskFilter,
  page: ListPage,
): Promise<TaskList> {
  const ids = await candidateIds(queryable, namespace, filter);
  const walk = walkFrom(namespace, filter, page, ids);
  const { where, values } = conditions(namespace, filter, walk.values);
  const { rows } = await queryable.query<TaskRow>(
    `SELECT ${taskColumns("t")} FROM (${walk.text}) t WHERE ${where.join(" AND ")} ORDER BY t.id DESC LIMIT ${page.size + 1}`,
    values,
  );
  if (rows.length > page.size) return { rows: rows.slice(0, page.size), next: rows[page.size - 1]!.id };
  if (ids !== undefined) return { rows, next: undefined };
  const end = await queryable.query<{ id: string }>(
    `SELECT t.id FROM (${walk.text}) t OFFSET ${MAX_WALK - 1} LIMIT 1`,
    walk.values,
  );
  return { rows, next: end.rows[0]?.id };
}

/** The ids of all tasks that may match, where an index leads to them and they are not too many; undefined means to walk. */
async function candidateIds(
  queryable: Queryable,
  namespace: string,
  { states = [], labels }: TaskFilter,
): Promise<string[] | undefined> {
  const limit = `LIMIT ${MAX_WALK + 1}`;
  const find = async (text: string, values: unknown[]) => {
    const { rows } = await queryable.query<{ id: string }>(text, [namespace, ...values]);
    return rows.length <= MAX_WALK ? rows.map(({ id }) => id) : undefined;
  };
  if (states.length > 0 && states.every((state) => state in PASSING)) {
    const parts = states.map((state) => `(${PASSING[state]} ${limit})`);
    const ids = await find(parts.join(" UNION ALL "), []);
    if (ids !== undefined) return ids;
  }
  if (Object.keys(labels).length === 0) return undefined;
  // The partial index on labels is used only where its condition is repeated.
  const labelled = "namespace = $1 AND labels @> $2::jsonb AND labels <> '{}'::jsonb";
  return find(`SELECT id FROM tasks WHERE ${labelled} ${limit}`, [JSON.stringify(labels)]);
}

/** The tasks to look at, newest first: through the index that fits best, and not too many. */
function walkFrom(namespace: string, filter: TaskFilter, { after }: ListPage, ids: string[] | undefined) {
  const where = ["w.namespace = $1"];
  const values: unknown[] = [namespace];
  const add = (value: unknown, condition: (parameter: string) => string) => {
    if (value === undefined) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  add(after, (p) => `w.id < ${p}::uuid`);
  add(ids, (p) => `w.id = ANY(${p}::uuid[])`);
  // The index on queues is used only where its condition is repeated.
  add(filter.queue, (p) => `w.queue = ${p} AND w.queue <> ''`);
  // Ids tell when they were made, by the clock of a gateway; it agrees with the database's within a day.
  add(filter.createdAfter && idAt(Date.parse(filter.createdAfter) - DAY_MS), (p) => `w.id >= ${p}::uuid`);
  add(filter.createdBefore && idAt(Date.parse(filter.createdBefore) + DAY_MS), (p) => `w.id < ${p}::uuid`);
  if (filter.states?.length === 1 && filter.states[0] === "DEAD_LETTERED") where.push("w.is_dead");
  const text = `SELECT * FROM tasks w WHERE ${where.join(" AND ")} ORDER BY w.id DESC LIMIT ${MAX_WALK}`;
  return { text, values };
}

/** The smallest UUIDv7 of a millisecond. */
function idAt(ms: number): string {
  const time = Math.max(0, ms).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}

const LIST_OF_QUEUES = `
  SELECT c.* FROM unnest($2::text[]) AS q(name) CROSS JOIN LATERAL (
    SELECT ${taskColumns("t")} FROM (
      SELECT * FROM tasks w WHERE w.namespace = $1 AND w.queue = q.name AND w.queue <> '' ORDER BY w.id DESC LIMIT ${MAX_WALK}
    ) t
    WHERE cardinality($3::text[]) = 0 OR t.state::text = ANY($3::text[])
    ORDER BY t.id DESC LIMIT $4
  ) c`;

/** The newest tasks of each queue, at most `limit` of each, among the newest MAX_WALK. */
export async function listTasksOfQueues(
  queryable: Queryable,
  namespace: string,
  queues: readonly string[],
  states: readonly TaskState[],
  limit: number,
): Promise<TaskRow[]> {
  const { rows } = await queryable.query<TaskRow>(LIST_OF_QUEUES, [namespace, queues, states, limit]);
  return rows;
}
