import type { Database, Queryable } from "../../../platform/postgres/database.ts";
import { changeOf, RECORD_CHANGES } from "./changes.ts";
import { type TaskRow, taskColumns } from "./task-row.ts";

export interface Claim {
  readonly namespace: string;
  readonly queues: readonly string[];
  readonly workerId: string;
  readonly capabilities: readonly string[];
  readonly maxTasks: number;
  readonly leaseMs: number;
}

/** A task that is held is looked at this often: the bound on how late a lease store that forgot everything is noticed. */
export const RECHECK_MS = 15_000;
/** How long after a lease's first end the sweeper looks at the row itself, should the lease store have forgotten it. */
const CHECK_GRACE_MS = 1000;
/** A limited claim looks at this many tasks beyond those it wants, before it leaves out saturated keys and looks again. */
const LOOKAHEAD = 50;
const MAX_ROUNDS = 20;

/** Marks the tasks in the CTE `candidates(id)` as leased; $1 namespace, $2 worker, $3 lease in milliseconds. */
const CLAIM_CANDIDATES = `
  claimed AS (
    UPDATE tasks t SET state = 'LEASED', fence = t.fence + 1, attempt = t.attempt + 1, worker_id = $2, leased_at = now(), lease_ms = $3::bigint,
      updated_at = now()
    WHERE t.namespace = $1 AND t.id = ANY(ARRAY(SELECT id FROM candidates))
    RETURNING t.order_at, ${taskColumns("t")}
  ),
  checks AS (
    INSERT INTO lease_checks (namespace, worker_id, check_at, task_ids, fences)
    SELECT $1, $2, now() + least($3::bigint + ${CHECK_GRACE_MS}, ${RECHECK_MS}, execution_timeout_ms) * interval '1 millisecond',
      array_agg(id), array_agg(fence) FROM claimed GROUP BY execution_timeout_ms
  ),
  changes AS (
    SELECT ${changeOf("t")}, 'READY'::task_state AS old_state, t.state AS new_state, 0 AS size_delta,
      'LEASED' AS event_type, false AS failed, false AS expired
    FROM claimed t
  ),
  ${RECORD_CHANGES}
  SELECT ${taskColumns("t")} FROM claimed t ORDER BY t.order_at, t.id`;

/** Lanes of the queues $4 that worker $2, able to do $5, may be served from; none while it drains. */
const OPEN_LANES = `
  me AS (SELECT draining, capabilities FROM workers WHERE namespace = $1 AND id = $2),
  lanes AS MATERIALIZED (
    SELECT l.queue, l.lane, q.max_concurrency, q.max_concurrency_per_key
    FROM queue_lanes l JOIN queues q ON q.namespace = l.namespace AND q.name = l.queue
    WHERE l.namespace = $1 AND l.queue = ANY($4::text[]) AND NOT q.paused
      AND l.capabilities <@ ($5::text[] || coalesce((SELECT capabilities FROM me), '{}'))
      AND NOT coalesce((SELECT draining FROM me), false)
  )`;

const CLAIM_UNLIMITED = `
  WITH ${OPEN_LANES},
  candidates AS MATERIALIZED (
    SELECT c.id FROM lanes l CROSS JOIN LATERAL (
      SELECT t.id, t.order_at FROM tasks t
      WHERE t.namespace = $1 AND t.queue = l.queue AND t.lane = l.lane AND t.ready_at IS NOT NULL
      ORDER BY t.ready_at, t.id LIMIT $6 FOR UPDATE SKIP LOCKED
    ) c
    WHERE l.max_concurrency IS NULL AND l.max_concurrency_per_key IS NULL
    ORDER BY c.order_at, c.id LIMIT $6
  ),
  ${CLAIM_CANDIDATES}`;

/**
 * Claims up to `maxTasks` ready tasks in one statement, in the order of (order_at, id). Queues with
 * a concurrency limit are passed over: they are claimed from by `claimLimited`.
 */
export async function claimUnlimited(queryable: Queryable, claim: Claim): Promise<TaskRow[]> {
  const { rows } = await queryable.query<TaskRow>(CLAIM_UNLIMITED, [
    claim.namespace,
    claim.workerId,
    claim.leaseMs,
    claim.queues,
    claim.capabilities,
    claim.maxTasks,
  ]);
  return rows;
}

const LOCK_LIMITED_CLAIMS = "SELECT pg_advisory_xact_lock(hashtextextended('tasks.claim:' || $1, 0))";
const COUNT_LEASED = `
  SELECT queue, sum(leased)::bigint AS leased FROM queue_counters WHERE namespace = $1 GROUP BY queue`;
const COUNT_LEASED_BY_KEY = `
  SELECT queue, leased_key AS concurrency_key, count(*) AS leased FROM tasks
  WHERE namespace = $1 AND queue = ANY($2::text[]) AND leased_key IS NOT NULL
  GROUP BY queue, leased_key`;
const LIST_LIMITS = `
  SELECT name AS queue, max_concurrency, max_concurrency_per_key FROM queues WHERE namespace = $1 AND name = ANY($2::text[])`;
const SELECT_CANDIDATES = `
  WITH ${OPEN_LANES}
  SELECT c.id, c.queue, c.concurrency_key FROM lanes l CROSS JOIN LATERAL (
    SELECT t.id, t.order_at, t.queue, t.concurrency_key FROM tasks t
    WHERE t.namespace = $1 AND t.queue = l.queue AND t.lane = l.lane AND t.ready_at IS NOT NULL
      AND (t.concurrency_key IS NULL OR l.queue || ' ' || t.concurrency_key <> ALL($7::text[]))
      AND t.id <> ALL($8::uuid[])
    ORDER BY t.ready_at, t.id LIMIT $6 FOR UPDATE SKIP LOCKED
  ) c
  WHERE l.queue <> ALL($3::text[])
  ORDER BY c.order_at, c.id LIMIT $6`;
const CLAIM_CHOSEN = `
  WITH candidates AS (SELECT unnest($4::uuid[]) AS id), ${CLAIM_CANDIDATES}`;

interface Candidate {
  readonly id: string;
  readonly queue: string;
  readonly concurrency_key: string | null;
}

/** How much room the limits leave, told off as candidates are chosen. */
interface Room {
  namespace: number;
  readonly queues: Map<string, number>;
  readonly perKey: Map<string, number>;
  readonly leasedByKey: Map<string, number>;
}

/**
 * Claims under the namespace's `maxConcurrentExecutions` and the queues' limits. Limited claims of
 * one namespace take turns, so that no two of them spend the same room; completions only add room.
 */
export function claimLimited(
  database: Database,
  claim: Claim,
  maxConcurrentExecutions: number | undefined,
): Promise<TaskRow[]> {
  return database.transaction(async (transaction) => {
    await transaction.query(LOCK_LIMITED_CLAIMS, [claim.namespace]);
    const room = await readRoom(transaction, claim, maxConcurrentExecutions);
    const chosen = await choose(transaction, claim, room);
    if (chosen.length === 0) return [];
    const { rows } = await transaction.query<TaskRow>(CLAIM_CHOSEN, [
      claim.namespace,
      claim.workerId,
      claim.leaseMs,
      chosen,
    ]);
    return rows;
  });
}

async function readRoom(
  queryable: Queryable,
  claim: Claim,
  maxConcurrentExecutions: number | undefined,
): Promise<Room> {
  const leased = await queryable.query<{ queue: string; leased: number }>(COUNT_LEASED, [claim.namespace]);
  const byKey = await queryable.query<{ queue: string; concurrency_key: string; leased: number }>(COUNT_LEASED_BY_KEY, [
    claim.namespace,
    claim.queues,
  ]);
  const limits = await queryable.query<{
    queue: string;
    max_concurrency: number | null;
    max_concurrency_per_key: number | null;
  }>(LIST_LIMITS, [claim.namespace, claim.queues]);
  const leasedOf = new Map(leased.rows.map((row) => [row.queue, row.leased]));
  const total = leased.rows.reduce((sum, row) => sum + row.leased, 0);
  return {
    namespace: (maxConcurrentExecutions ?? Number.POSITIVE_INFINITY) - total,
    queues: new Map(
      limits.rows.map((row) => [
        row.queue,
        (row.max_concurrency ?? Number.POSITIVE_INFINITY) - (leasedOf.get(row.queue) ?? 0),
      ]),
    ),
    perKey: new Map(limits.rows.map((row) => [row.queue, row.max_concurrency_per_key ?? Number.POSITIVE_INFINITY])),
    leasedByKey: new Map(byKey.rows.map((row) => [`${row.queue} ${row.concurrency_key}`, row.leased])),
  };
}

/** Looks through the ready tasks in order, round by round, each leaving out the keys and queues found full so far. */
async function choose(queryable: Queryable, claim: Claim, room: Room): Promise<string[]> {
  const chosen: string[] = [];
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const wanted = Math.min(claim.maxTasks - chosen.length, room.namespace);
    const fullQueues = [...room.queues].filter(([, left]) => left <= 0).map(([queue]) => queue);
    if (wanted <= 0 || fullQueues.length === claim.queues.length) break;
    const fullKeys = [...room.leasedByKey]
      .filter(([key, count]) => count >= perKeyLimit(room, key))
      .map(([key]) => key);
    const { rows } = await queryable.query<Candidate>(SELECT_CANDIDATES, [
      claim.namespace,
      claim.workerId,
      fullQueues,
      claim.queues,
      claim.capabilities,
      wanted + LOOKAHEAD,
      fullKeys,
      chosen,
    ]);
    for (const candidate of rows) {
      if (chosen.length < claim.maxTasks && takeRoom(room, candidate)) chosen.push(candidate.id);
    }
    if (rows.length < wanted + LOOKAHEAD) break;
  }
  return chosen;
}

function perKeyLimit(room: Room, key: string): number {
  return room.perKey.get(key.slice(0, key.indexOf(" "))) ?? Number.POSITIVE_INFINITY;
}

function takeRoom(room: Room, candidate: Candidate): boolean {
  const queueRoom = room.queues.get(candidate.queue) ?? 0;
  const key = candidate.concurrency_key === null ? undefined : `${candidate.queue} ${candidate.concurrency_key}`;
  const keyCount = key === undefined ? 0 : (room.leasedByKey.get(key) ?? 0);
  if (room.namespace <= 0 || queueRoom <= 0 || (key !== undefined && keyCount >= perKeyLimit(room, key))) return false;
  room.namespace -= 1;
  room.queues.set(candidate.queue, queueRoom - 1);
  if (key !== undefined) room.leasedByKey.set(key, keyCount + 1);
  return true;
}
