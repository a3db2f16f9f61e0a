import type { Queryable } from "../../platform/postgres/database.ts";

/** The safety half of a lease on a name: who acquired it last, and under which fence. */
export interface LeaseResource {
  readonly namespace: string;
  readonly name: string;
  readonly fence: number;
  /** False once it was released or swept; a lease that ran out may still say true. */
  readonly held: boolean;
  readonly holder: string;
  /** What it was acquired for; heartbeats do not change it. */
  readonly ttlMs: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly acquiredAt: Date;
  /** What is left of the first `ttlMs`, by the database's clock: the least that is known of a lease whose liveness was lost. */
  readonly firstTtlLeftMs: number;
}

export interface LeaseTake {
  readonly namespace: string;
  readonly name: string;
  readonly holder: string;
  readonly ttlMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A lease under one fence. */
export interface LeaseFence {
  readonly namespace: string;
  readonly name: string;
  readonly fence: number;
}

export interface LeaseResourceStore {
  get(namespace: string, name: string): Promise<LeaseResource | undefined>;
  /** Takes the lease under a new, higher fence if its fence is still `expectedFence` (undefined: nobody ever had it). Answers undefined where somebody was quicker. */
  take(lease: LeaseTake, expectedFence: number | undefined): Promise<LeaseResource | undefined>;
  /** Frees the leases that are held under exactly these fences, and answers which they were. */
  free(leases: readonly LeaseFence[]): Promise<LeaseFence[]>;
  /** Up to `limit` leases in the order of their names, after `afterName`. */
  list(namespace: string, afterName: string, limit: number): Promise<LeaseResource[]>;
  /** Clears away up to `limit` leases that were freed more than `ageMs` ago. Answers how many. */
  removeFreed(ageMs: number, limit: number): Promise<number>;
  /** Clears away everything of a namespace. */
  removeNamespace(namespace: string): Promise<void>;
}

const COLUMNS = `
  namespace, name, fence, held, holder, ttl_ms AS "ttlMs", metadata, acquired_at AS "acquiredAt",
  (ttl_ms - extract(epoch FROM now() - acquired_at) * 1000)::float8 AS "firstTtlLeftMs"`;

const GET = `SELECT ${COLUMNS} FROM lease_resources WHERE namespace = $1 AND name = $2`;

const TAKE_NEW = `
  INSERT INTO lease_resources (namespace, name, fence, held, holder, ttl_ms, metadata, acquired_at)
  VALUES ($1, $2, nextval('lease_fences'), true, $3, $4, $5::jsonb, now())
  ON CONFLICT DO NOTHING
  RETURNING ${COLUMNS}`;

const TAKE_KNOWN = `
  UPDATE lease_resources
     SET fence = nextval('lease_fences'), held = true, holder = $3, ttl_ms = $4, metadata = $5::jsonb,
         acquired_at = now(), released_at = NULL
   WHERE namespace = $1 AND name = $2 AND fence = $6
  RETURNING ${COLUMNS}`;

const FREE = `
  UPDATE lease_resources AS resource
     SET held = false, released_at = now()
    FROM unnest($1::text[], $2::text[], $3::int8[]) AS item(namespace, name, fence)
   WHERE resource.namespace = item.namespace AND resource.name = item.name AND resource.fence = item.fence
     AND resource.held
  RETURNING resource.namespace, resource.name, resource.fence`;

const LIST = `
  SELECT ${COLUMNS} FROM lease_resources
   WHERE namespace = $1 AND name > $2
   ORDER BY name
   LIMIT $3`;

const REMOVE_FREED = `
  DELETE FROM lease_resources
   WHERE (namespace, name) IN (
     SELECT namespace, name FROM lease_resources
      WHERE NOT held AND released_at < now() - $1 * interval '1 millisecond'
      LIMIT $2
        FOR UPDATE SKIP LOCKED)`;

export function createLeaseResourceStore(database: Queryable): LeaseResourceStore {
  return {
    async get(namespace, name) {
      return (await database.query<LeaseResource>(GET, [namespace, name])).rows[0];
    },
    async take({ namespace, name, holder, ttlMs, metadata }, expectedFence) {
      const values = [namespace, name, holder, ttlMs, JSON.stringify(metadata)];
      const { rows } =
        expectedFence === undefined
          ? await database.query<LeaseResource>(TAKE_NEW, values)
          : await database.query<LeaseResource>(TAKE_KNOWN, [...values, expectedFence]);
      return rows[0];
    },
    async free(leases) {
      const { rows } = await database.query<LeaseFence>(FREE, [
        leases.map(({ namespace }) => namespace),
        leases.map(({ name }) => name),
        leases.map(({ fence }) => fence),
      ]);
      return rows;
    },
    async list(namespace, afterName, limit) {
      return (await database.query<LeaseResource>(LIST, [namespace, afterName, limit])).rows;
    },
    async removeFreed(ageMs, limit) {
      return (await database.query(REMOVE_FREED, [ageMs, limit])).rowCount;
    },
    async removeNamespace(namespace) {
      await database.query("DELETE FROM lease_resources WHERE namespace = $1", [namespace]);
    },
  };
}
