import type { Queryable } from "../../../platform/postgres/database.ts";

export interface WorkerRow {
  readonly namespace: string;
  readonly id: string;
  readonly draining: boolean;
  /** Grows with each registration: the fence of the worker's own lease. */
  readonly generation: number;
  readonly queues: string[];
  readonly capabilities: string[];
  readonly metadata: Record<string, string>;
  readonly ttl_ms: number;
  readonly registered_at: Date;
}

const COLUMNS = "namespace, id, draining, generation, queues, capabilities, metadata, ttl_ms, registered_at";

const REGISTER = `
  INSERT INTO workers AS w (namespace, id, queues, capabilities, metadata, ttl_ms)
  VALUES ($1, $2, $3::text[], $4::text[], $5::jsonb, $6::bigint)
  ON CONFLICT (namespace, id) DO UPDATE SET draining = false, generation = w.generation + 1, queues = excluded.queues,
    capabilities = excluded.capabilities, metadata = excluded.metadata, ttl_ms = excluded.ttl_ms
  RETURNING ${COLUMNS}`;

export interface WorkerRegistration {
  readonly namespace: string;
  readonly workerId: string;
  readonly queues: readonly string[];
  readonly capabilities: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly ttlMs: number;
}

export async function registerWorker(queryable: Queryable, worker: WorkerRegistration): Promise<WorkerRow> {
  const { rows } = await queryable.query<WorkerRow>(REGISTER, [
    worker.namespace,
    worker.workerId,
    worker.queues,
    worker.capabilities,
    JSON.stringify(worker.metadata),
    worker.ttlMs,
  ]);
  return rows[0]!;
}

const GET = `SELECT ${COLUMNS} FROM workers WHERE namespace = $1 AND id = ANY($2::text[])`;

export async function getWorkers(
  queryable: Queryable,
  namespace: string,
  ids: readonly string[],
): Promise<WorkerRow[]> {
  const { rows } = await queryable.query<WorkerRow>(GET, [namespace, ids]);
  return rows;
}

const LIST = `SELECT ${COLUMNS} FROM workers WHERE namespace = $1 AND id > $2 ORDER BY id LIMIT $3`;

export async function listWorkers(
  queryable: Queryable,
  namespace: string,
  after: string,
  limit: number,
): Promise<WorkerRow[]> {
  const { rows } = await queryable.query<WorkerRow>(LIST, [namespace, after, limit]);
  return rows;
}

const DRAIN = `UPDATE workers SET draining = true WHERE namespace = $1 AND id = $2 RETURNING ${COLUMNS}`;

export async function drainWorker(queryable: Queryable, namespace: string, id: string): Promise<WorkerRow | undefined> {
  const { rows } = await queryable.query<WorkerRow>(DRAIN, [namespace, id]);
  return rows[0];
}

const DELETE = `DELETE FROM workers WHERE namespace = $1 AND id = $2 RETURNING ${COLUMNS}`;

export async function deleteWorker(
  queryable: Queryable,
  namespace: string,
  id: string,
): Promise<WorkerRow | undefined> {
  const { rows } = await queryable.query<WorkerRow>(DELETE, [namespace, id]);
  return rows[0];
}
