/** Concurrent statements add to different rows of a queue's counters, by connection. */
const SLOTS = 16;

/**
 * The end of every statement that moves tasks: it reads the CTE `changes`, adds it to the counters
 * writes the events and notes what is finished, so that a state, its count and its event cannot disagree.
 *
 * `changes` has (namespace, task_id, queue, kind, priority, old_state, new_state, size_delta,
 * event_type, attempt, fence, worker_id, failed, expired); old_state is null for a new task,
 * new_state for a deleted one, event_type where there is nothing to tell.
 */
export const RECORD_CHANGES = `
  counted AS (
    INSERT INTO queue_counters AS c (
      namespace, queue, priority, slot, scheduled, ready, leased, completed, dead_lettered, cancelled, stored_bytes,
      enqueued_total, leased_total, completed_total, failed_total, expired_total, dead_lettered_total)
    SELECT namespace, queue, priority, pg_backend_pid() % ${SLOTS},
      ${["SCHEDULED", "READY", "LEASED", "COMPLETED", "DEAD_LETTERED", "CANCELLED"]
        .map(
          (state) => `count(*) FILTER (WHERE new_state = '${state}') - count(*) FILTER (WHERE old_state = '${state}')`,
        )
        .join(",\n      ")},
      sum(size_delta),
      count(*) FILTER (WHERE event_type = 'ENQUEUED'),
      count(*) FILTER (WHERE event_type = 'LEASED'),
      count(*) FILTER (WHERE event_type = 'COMPLETED'),
      count(*) FILTER (WHERE failed),
      count(*) FILTER (WHERE expired),
      count(*) FILTER (WHERE event_type = 'DEAD_LETTERED')
    FROM changes GROUP BY namespace, queue, priority ORDER BY namespace, queue, priority
    ON CONFLICT (namespace, queue, priority, slot) DO UPDATE SET
      scheduled = c.scheduled + excluded.scheduled, ready = c.ready + excluded.ready, leased = c.leased + excluded.leased,
      completed = c.completed + excluded.completed, dead_lettered = c.dead_lettered + excluded.dead_lettered,
      cancelled = c.cancelled + excluded.cancelled, stored_bytes = c.stored_bytes + excluded.stored_bytes,
      enqueued_total = c.enqueued_total + excluded.enqueued_total, leased_total = c.leased_total + excluded.leased_total,
      completed_total = c.completed_total + excluded.completed_total, failed_total = c.failed_total + excluded.failed_total,
      expired_total = c.expired_total + excluded.expired_total,
      dead_lettered_total = c.dead_lettered_total + excluded.dead_lettered_total
  ),
  logged AS (
    INSERT INTO task_events (namespace, queue, kind, type, state, worker_id, task_ids, attempts, fences)
    SELECT namespace, queue, kind, event_type, new_state, worker_id, array_agg(task_id), array_agg(attempt), array_agg(fence)
    FROM changes WHERE event_type IS NOT NULL GROUP BY namespace, queue, kind, event_type, new_state, worker_id
  ),
  finished AS (
    INSERT INTO finished_tasks (namespace, task_ids)
    SELECT namespace, array_agg(task_id) FROM changes WHERE new_state IN ('COMPLETED', 'CANCELLED') GROUP BY namespace
  )`;

/** What a statement returns of the rows it changed, for `changes`. Not all of the row: each column that is kept costs. */
export function changedColumns(alias: string): string {
  return `${alias}.namespace, ${alias}.id, ${alias}.queue, ${alias}.kind, ${alias}.priority, ${alias}.attempt, ${alias}.fence, ${alias}.worker_id, ${alias}.state`;
}

/** The columns of `changes` that are the same in every statement, from a row named `alias`. */
export function changeOf(alias: string): string {
  return `${alias}.namespace, ${alias}.id AS task_id, ${alias}.queue, ${alias}.kind, ${alias}.priority, ${alias}.attempt, ${alias}.fence, ${alias}.worker_id`;
}
