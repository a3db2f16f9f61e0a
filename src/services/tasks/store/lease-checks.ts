import type { Queryable } from "../../../platform/postgres/database.ts";
import { upToSoManyTasks } from "./maintain.ts";

/** A leased task that nobody has looked at for longer than its lease, or that runs out of time. */
export interface OverdueTask {
  readonly namespace: string;
  readonly id: string;
  readonly fence: number;
  readonly timed_out: boolean;
  /** The longest time its lease was promised at once. */
  readonly lease_ms: number;
  readonly check_id: number;
  /** When its execution time is over, as the database wrote it. */
  readonly ends_at: string | null;
}

/** What is to be looked at now. */
export interface DueChecks {
  readonly checkIds: number[];
  /** Those of their tasks that are leased still. */
  readonly tasks: OverdueTask[];
}

const LIST_DUE = `
  WITH due AS MATERIALIZED (SELECT * FROM lease_checks WHERE check_at <= now() ORDER BY check_at LIMIT $1),
  chosen AS MATERIALIZED (${upToSoManyTasks("due", "check_at")})
  SELECT c.id AS check_id, c.namespace, t.id, t.fence, t.lease_ms, t.ends_at::text, coalesce(t.ends_at <= now(), false) AS timed_out
  FROM chosen c LEFT JOIN LATERAL (
    SELECT t.id, t.fence, t.lease_ms, t.leased_at + t.execution_timeout_ms * interval '1 millisecond' AS ends_at
    FROM unnest(c.task_ids, c.fences) AS h(id, fence) CROSS JOIN LATERAL (
      SELECT * FROM tasks t WHERE t.namespace = c.namespace AND t.id = h.id AND t.fence = h.fence AND t.state = 'LEASED'
    ) t
  ) t ON true`;

/** Reads up to `limit` checks whose time has come. They stay until `settleChecks`, so that no crash loses one. */
export async function listDueChecks(queryable: Queryable, limit: number): Promise<DueChecks> {
  const { rows } = await queryable.query<OverdueTask & { id: string | null }>(LIST_DUE, [limit]);
  return {
    checkIds: [...new Set(rows.map(({ check_id }) => check_id))],
    tasks: rows.filter(({ id }) => id !== null),
  };
}

const SETTLE = `
  WITH gone AS (DELETE FROM lease_checks WHERE id = ANY($1::bigint[]) RETURNING id, namespace, worker_id)
  INSERT INTO lease_checks (namespace, worker_id, check_at, task_ids, fences)
  SELECT g.namespace, g.worker_id, least(now() + $3::bigint * interval '1 millisecond', i.ends_at), array_agg(i.id), array_agg(i.fence)
  FROM json_to_recordset($2::json) AS i(check_id bigint, id uuid, fence bigint, ends_at timestamptz) JOIN gone g ON g.id = i.check_id
  GROUP BY g.id, g.namespace, g.worker_id, i.ends_at`;

/**
 * Ends checks, and has those of their tasks that are `alive` looked at again after `delayMs`, or when
 * their execution time ends if that is sooner. Of several gateways that looked, one does it.
 */
export async function settleChecks(
  queryable: Queryable,
  checkIds: readonly number[],
  alive: readonly OverdueTask[],
  delayMs: number,
): Promise<void> {
  await queryable.query(SETTLE, [checkIds, JSON.stringify(alive), delayMs]);
}
