import type { Json } from "../../../core/json.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import { changedColumns, changeOf, RECORD_CHANGES } from "./changes.ts";
import { progressBytes } from "./task-row.ts";

export interface Completion {
  readonly taskId: string;
  readonly fence: number;
  readonly result?: Json | undefined;
}

// One pass over the primary key, and no join whose plan could go wrong: what belongs to a row is looked
// up in $3, by its id and fence. The state is compared as text, because the indexes of leased tasks look
// small to the planner and hold many dead entries. Rows are changed in the order of the scan, which is
// the same for every batch, so that two of them do not wait for one another in a circle.
const COMPLETE = `
  WITH done AS (
    UPDATE tasks t SET state = 'COMPLETED', result = ($3::jsonb ->> (t.id || ' ' || t.fence))::json,
      finished_at = now(), updated_at = now(),
      size_bytes = t.size_bytes + coalesce(octet_length($3::jsonb ->> (t.id || ' ' || t.fence)), 0) + ${progressBytes("t")}
    WHERE t.namespace = $1 AND t.id = ANY($2::uuid[]) AND $3::jsonb ? (t.id || ' ' || t.fence) AND t.state::text = 'LEASED'
    RETURNING ${changedColumns("t")}, coalesce(octet_length(t.result::text), 0) + ${progressBytes("t")} AS size_delta
  ),
  changes AS (
    SELECT ${changeOf("t")}, 'LEASED'::task_state AS old_state, t.state AS new_state, t.size_delta,
      'COMPLETED' AS event_type, false AS failed, false AS expired
    FROM done t
  ),
  ${RECORD_CHANGES}
  SELECT id, queue FROM done`;

const EXPLAIN = `
  SELECT t.id, t.fence, t.state FROM tasks t WHERE t.namespace = $1 AND t.id = ANY($2::uuid[])`;

export type CompletionOutcome = "COMPLETED" | "LEASE_LOST" | "NOT_FOUND";

/**
 * Completes what is leased under exactly the fence named; the rest changes nothing. A task that was
 * completed under this fence before answers COMPLETED again, and keeps its first result.
 * `newlyCompleted` names what this call completed, each with its queue.
 */
export async function completeTasks(
  queryable: Queryable,
  namespace: string,
  completions: readonly Completion[],
): Promise<{ outcomes: CompletionOutcome[]; newlyCompleted: Map<string, string> }> {
  const done = await queryable.query<{ id: string; queue: string }>(COMPLETE, [
    namespace,
    [...new Set(completions.map(({ taskId }) => taskId))],
    resultsByLease(completions),
  ]);
  const newlyCompleted = new Map(done.rows.map((row) => [row.id, row.queue]));
  const others = completions.filter(({ taskId }) => !newlyCompleted.has(taskId)).map(({ taskId }) => taskId);
  const duplicated = newlyCompleted.size < completions.length - others.length;
  const explained = new Map<string, { fence: number; state: string }>();
  if (others.length > 0 || duplicated) {
    const ids = completions.map(({ taskId }) => taskId);
    const { rows } = await queryable.query<{ id: string; fence: number; state: string }>(EXPLAIN, [namespace, ids]);
    for (const row of rows) explained.set(row.id, row);
  }
  const outcomes = completions.map(({ taskId, fence }): CompletionOutcome => {
    const found = explained.get(taskId);
    if (found === undefined) return newlyCompleted.has(taskId) ? "COMPLETED" : "NOT_FOUND";
    return found.state === "COMPLETED" && found.fence === fence ? "COMPLETED" : "LEASE_LOST";
  });
  return { outcomes, newlyCompleted };
}

/** A JSON object with the result's text by `<task id> <fence>`. Of completions that name the same task and fence, the first counts. */
function resultsByLease(completions: readonly Completion[]): string {
  const results: Record<string, string | null> = {};
  for (const { taskId, fence, result } of completions) {
    const lease = `${taskId} ${fence}`;
    if (!(lease in results)) results[lease] = result === undefined || result === null ? null : JSON.stringify(result);
  }
  return JSON.stringify(results);
}
