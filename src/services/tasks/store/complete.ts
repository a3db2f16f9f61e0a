import type { Json } from "../../../core/json.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import { changeOf, RECORD_CHANGES } from "./changes.ts";

export interface Completion {
  readonly taskId: string;
  readonly fence: number;
  readonly result?: Json | undefined;
}

// The rows are locked in the order of their ids first, so that two batches cannot wait for one another.
const COMPLETE = `
  WITH input AS MATERIALIZED (
    SELECT DISTINCT ON (i.id) i.id, i.fence, i.result FROM json_to_recordset($2::json) AS i(id uuid, fence bigint, result json)
    ORDER BY i.id, i.fence DESC
  ),
  held AS MATERIALIZED (
    SELECT t.id FROM input i JOIN tasks t ON t.namespace = $1 AND t.id = i.id AND t.fence = i.fence AND t.state = 'LEASED'
    ORDER BY t.id FOR UPDATE OF t
  ),
  done AS (
    UPDATE tasks t SET state = 'COMPLETED', result = i.result, finished_at = now(), updated_at = now(), check_at = NULL,
      size_bytes = t.size_bytes + coalesce(octet_length(i.result::text), 0)
    FROM held h JOIN input i ON i.id = h.id WHERE t.namespace = $1 AND t.id = h.id
    RETURNING t.*, coalesce(octet_length(i.result::text), 0) AS result_bytes
  ),
  changes AS (
    SELECT ${changeOf("t")}, 'LEASED'::task_state AS old_state, t.state AS new_state, t.result_bytes AS size_delta,
      'COMPLETED' AS event_type, false AS failed, false AS expired
    FROM done t
  ),
  ${RECORD_CHANGES}
  SELECT id FROM done`;

const EXPLAIN = `
  SELECT t.id, t.fence, t.state FROM tasks t WHERE t.namespace = $1 AND t.id = ANY($2::uuid[])`;

export type CompletionOutcome = "COMPLETED" | "LEASE_LOST" | "NOT_FOUND";

/**
 * Completes what is leased under exactly the fence named; the rest changes nothing. A task that was
 * completed under this fence before answers COMPLETED again, and keeps its first result.
 */
export async function completeTasks(
  queryable: Queryable,
  namespace: string,
  completions: readonly Completion[],
): Promise<{ outcomes: CompletionOutcome[]; newlyCompleted: Set<string> }> {
  const input = JSON.stringify(
    completions.map(({ taskId, fence, result }) => ({
      id: taskId,
      fence,
      result: result === undefined ? undefined : result,
    })),
  );
  const done = await queryable.query<{ id: string }>(COMPLETE, [namespace, input]);
  const newlyCompleted = new Set(done.rows.map((row) => row.id));
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
