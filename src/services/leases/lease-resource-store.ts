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
  /** The longest time that was promised at once under this fence. */
  readonly longestTtlMs: number;
  /** Grows whenever it is taken, confirmed or freed. */
  readonly revision: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly acquiredAt: Date;
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

/** A lease as its row was when somebody looked. */
export interface LeaseRevision extends LeaseFence {
  readonly revision: number;
}

export interface LeaseResourceStore {
  get(namespace: string, name: string): Promise<LeaseResource | undefined>;
  /** Takes the lease under a new, higher fence if its row is still as `seen` (undefined: nobody ever had it). Answers undefined where somebody was quicker. */
  take(lease: LeaseTake, seen: LeaseRevision | undefined): Promise<LeaseResource | undefined>;
  /** Says that the lease goes on under this fence, for up to `ttlMs` at once: nobody who saw it before takes or frees it. Answers undefined where the fence does not hold it. */
  confirm(lease: LeaseFence, ttlMs: number): Promise<LeaseResource | undefined>;
  /** Those of the leases that are held under exactly these fences. */
  held(leases: readonly LeaseFence[]): Promise<LeaseRevision[]>;
  /** Frees the lease if it is held under exactly this fence. Answers whether it was. */
  free(lease: LeaseFence): Promise<boolean>;
  /** Frees those of the leases whose rows are still as they were seen, and answers which they were. */
  freeUnchanged(leases: readonly LeaseRevision[]): Promise<LeaseFence[]>;
  /** Up to `limit` leases in the order of their names, after `afterName`. */
  list(namespace: string, afterName: string, limit: number): Promise<LeaseResource[]>;
  /** Clears away up to `limit` leases that were freed more than `ageMs` ago. Answers how many. */
  removeFreed(ageMs: number, limit: number): Promise<number>;
  /** Clears away everything of a namespace. */
  removeNamespace(namespace: string): Promise<void>;
}

const COLUMNS = `
  namespace, name, fence, held, holder, ttl_ms AS "ttlMs", longest_ttl_ms AS "longestTtlMs", revision, metadata,
  acquired_at AS "acquiredAt"`;

const GET = `SELECT ${COLUMNS} FROM lease_resources WHERE namespace = $1 AND name = $2`;

const TAKE_NEW = `
  INSERT INTO lease_resources (namespace, name, fence, held, holder, ttl_ms, longest_ttl_ms, metadata, acquired_at)
  VALUES ($1, $2, nextval('lease_fences'), true, $3, $4, $4, $5::jsonb, now())
  ON CONFLICT DO NOTHING
  RETURNING ${COLUMNS}`;

const TAKE_KNOWN = `
  UPDATE lease_resources
     SET fence = nextval('lease_fences'), held = true, holder = $3, ttl_ms = $4, longest_ttl_ms = $4,
         metadata = $5::jsonb, acquired_at = now(), released_at = NULL, revision = revision + 1
   WHERE namespace = $1 AND name = $2 AND fence = $6 AND revision = $7
  RETURNING ${COLUMNS}`;

const CONFIRM = `
  UPDATE lease_resources
     SET revision = revision + 1, longest_ttl_ms = greatest(longest_ttl_ms, $4::bigint)
   WHERE namespace = $1 AND name = $2 AND fence = $3 AND held
  RETURNING ${COLUMNS}`;

const HELD = `
  SELECT resource.namespace, resource.name, resource.fence, resource.revision
    FROM unnest($1::text[], $2::text[], $3::int8[]) AS item(namespace, name, fence)
    JOIN lease_resources AS resource USING (namespace, name, fence)
   WHERE resource.held`;

const FREE = `
  UPDATE lease_resources
     SET held = false, released_at = now(), revision = revision + 1
   WHERE namespace = $1 AND name = $2 AND fence = $3 AND held`;

const FREE_UNCHANGED = `
  UPDATE lease_resources AS resource
     SET held = false, released_at = now(), revision = resource.revision + 1
    FROM unnest($1::text[], $2::text[], $3::int8[], $4::int8[]) AS item(namespace, name, fence, revision)
   WHERE resource.namespace = item.namespace AND resource.name = item.name AND resource.fence = item.fence
     AND resource.revision = item.revision AND resource.held
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
    async take({ namespace, name, holder, ttlMs, metadata }, seen) {
      const values = [namespace, name, holder, ttlMs, JSON.stringify(metadata)];
      const { rows } =
        seen === undefined
          ? await database.query<LeaseResource>(TAKE_NEW, values)
          : await database.query<LeaseResource>(TAKE_KNOWN, [...values, seen.fence, seen.revision]);
      return rows[0];
    },
    async confirm({ namespace, name, fence }, ttlMs) {
      return (await database.query<LeaseResource>(CONFIRM, [namespace, name, fence, ttlMs])).rows[0];
    },
    async held(leases) {
      return (await database.query<LeaseRevision>(HELD, columns(leases))).rows;
    },
    async free({ namespace, name, fence }) {
      return (await database.query(FREE, [namespace, name, fence])).rowCount > 0;
    },
    async freeUnchanged(leases) {
      const revisions = leases.map(({ revision }) => revision);
      return (await database.query<LeaseFence>(FREE_UNCHANGED, [...columns(leases), revisions])).rows;
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

function columns(leases: readonly LeaseFence[]): [namespaces: string[], names: string[], fences: number[]] {
  return [leases.map(({ namespace }) => namespace), leases.map(({ name }) => name), leases.map(({ fence }) => fence)];
}
