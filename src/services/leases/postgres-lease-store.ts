import type { Queryable } from "../../platform/postgres/database.ts";
import type { KnownLease, LeaseGrant, LeaseName, LeaseStore, RemainingLease } from "./lease-store.ts";

const DEADLINE_MS = "floor(extract(epoch FROM deadline) * 1000)::int8";
const FROM_NOW = "now() + item.ttl_ms * interval '1 millisecond'";

// In the order of their keys, so that two batches never wait for each other.
const GRANT = `
  INSERT INTO lease_deadlines AS known (space, partition, key, fence, deadline)
  SELECT $1, $2, item.key, item.fence, ${FROM_NOW}
    FROM unnest($3::text[], $4::int8[], $5::int8[]) AS item(key, fence, ttl_ms)
   ORDER BY item.key
  ON CONFLICT (space, partition, key) DO UPDATE
     SET fence = excluded.fence, deadline = excluded.deadline
   WHERE known.fence <= excluded.fence
  RETURNING key, fence, ${DEADLINE_MS} AS "deadlineMs"`;

// Only what is not known, or under a lower fence: a lease that lives keeps its deadline.
const ADOPT = `
  INSERT INTO lease_deadlines AS known (space, partition, key, fence, deadline)
  SELECT $1, $2, item.key, item.fence, ${FROM_NOW}
    FROM unnest($3::text[], $4::int8[], $5::int8[]) AS item(key, fence, ttl_ms)
   ORDER BY item.key
  ON CONFLICT (space, partition, key) DO UPDATE
     SET fence = excluded.fence, deadline = excluded.deadline
   WHERE known.fence < excluded.fence`;

const EXTEND = `
  UPDATE lease_deadlines AS known
     SET deadline = ${FROM_NOW}
    FROM unnest($3::text[], $4::int8[], $5::int8[]) AS item(key, fence, ttl_ms)
   WHERE known.space = $1 AND known.partition = $2 AND known.key = item.key AND known.fence = item.fence
  RETURNING known.key, known.fence, ${DEADLINE_MS} AS "deadlineMs"`;

const RELEASE = `
  DELETE FROM lease_deadlines AS known
   USING unnest($3::text[], $4::int8[]) AS item(key, fence)
   WHERE known.space = $1 AND known.partition = $2 AND known.key = item.key AND known.fence = item.fence`;

const RETIRE = `
  DELETE FROM lease_deadlines AS known
   USING unnest($3::text[], $4::int8[]) AS item(key, fence)
   WHERE known.space = $1 AND known.partition = $2 AND known.key = item.key AND known.fence = item.fence
     AND known.deadline <= now()
  RETURNING known.key, known.fence`;

const INSPECT = `
  SELECT key, fence, ${DEADLINE_MS} AS "deadlineMs",
         (extract(epoch FROM deadline - now()) * 1000)::float8 AS "remainingMs"
    FROM lease_deadlines
   WHERE space = $1 AND partition = $2 AND key = ANY ($3::text[])`;

const EXPIRED = `
  SELECT partition, key, fence
    FROM lease_deadlines
   WHERE space = $1 AND deadline <= now()
   ORDER BY deadline
   LIMIT $2`;

const FORGET = "DELETE FROM lease_deadlines WHERE space = $1";

const NOW = `SELECT floor(extract(epoch FROM now()) * 1000)::int8 AS "nowMs"`;

type DeadlineRow = LeaseName & { readonly deadlineMs: number };

/** Leases in Postgres, with the database's clock. Every call is one statement, whatever the size of its batch. */
export function createPostgresLeaseStore(database: Queryable): LeaseStore {
  const look = async (space: string, partition: string, keys: readonly string[]) => {
    if (keys.length === 0) return [];
    const { rows } = await database.query<RemainingLease & { key: string }>(INSPECT, [space, partition, keys]);
    const known = new Map(rows.map(({ key, ...lease }) => [key, lease]));
    return keys.map((key) => known.get(key));
  };
  const inspect = async (space: string, partition: string, keys: readonly string[]) =>
    (await look(space, partition, keys)).map((known) => known && knownOf(known));

  return {
    async grant(space, partition, leases) {
      if (leases.length === 0) return [];
      const { rows } = await database.query<DeadlineRow>(GRANT, [space, partition, ...columns(newestOfEach(leases))]);
      return deadlinesOf(leases, rows);
    },
    async extend(space, partition, leases) {
      if (leases.length === 0) return [];
      const { rows } = await database.query<DeadlineRow>(EXTEND, [space, partition, ...columns(leases)]);
      return deadlinesOf(leases, rows);
    },
    async adopt(space, partition, leases) {
      const keys = leases.map(({ key }) => key);
      let known = await look(space, partition, keys);
      const unknown = leases.filter(({ fence }, index) => (known[index]?.fence ?? 0) < fence);
      if (unknown.length > 0) {
        await database.query(ADOPT, [space, partition, ...columns(newestOfEach(unknown))]);
        known = await look(space, partition, keys);
      }
      // What was known or adopted may be released at any time.
      return leases.map(({ fence }, index) => known[index] ?? { fence, deadlineMs: 0, remainingMs: 0 });
    },
    async retire(space, partition, leases) {
      if (leases.length === 0) return [];
      const { rows } = await database.query<LeaseName>(RETIRE, [space, partition, ...names(leases)]);
      const retired = new Set(rows.map(({ key, fence }) => `${fence} ${key}`));
      return leases.map(({ key, fence }) => retired.has(`${fence} ${key}`));
    },
    async release(space, partition, leases) {
      if (leases.length === 0) return;
      await database.query(RELEASE, [space, partition, ...names(leases)]);
    },
    inspect,
    async deadlines(space, partition, keys) {
      return (await inspect(space, partition, keys)).map((known) => known?.deadlineMs);
    },
    async expired(space, limit) {
      const { rows } = await database.query<LeaseName & { partition: string }>(EXPIRED, [space, limit]);
      return rows;
    },
    async now() {
      const { rows } = await database.query<{ nowMs: number }>(NOW, []);
      return rows[0]!.nowMs;
    },
    async forget(space) {
      await database.query(FORGET, [space]);
    },
  };
}

/** The deadline of each lease, or undefined where its row was not changed. */
function deadlinesOf(leases: readonly LeaseName[], rows: readonly DeadlineRow[]): (number | undefined)[] {
  const changed = new Map(rows.map(({ key, fence, deadlineMs }) => [`${fence} ${key}`, deadlineMs]));
  return leases.map(({ key, fence }) => changed.get(`${fence} ${key}`));
}

function columns(leases: readonly LeaseGrant[]): [keys: string[], fences: number[], ttls: number[]] {
  return [leases.map(({ key }) => key), leases.map(({ fence }) => fence), leases.map(({ ttlMs }) => ttlMs)];
}

function names(leases: readonly LeaseName[]): [keys: string[], fences: number[]] {
  return [leases.map(({ key }) => key), leases.map(({ fence }) => fence)];
}

function knownOf({ fence, deadlineMs }: RemainingLease): KnownLease {
  return { fence, deadlineMs };
}

/** One INSERT cannot touch a row twice: of grants for the same key, the one that would win is kept. */
function newestOfEach(leases: readonly LeaseGrant[]): LeaseGrant[] {
  const newest = new Map<string, LeaseGrant>();
  for (const lease of leases) {
    const other = newest.get(lease.key);
    if (other === undefined || other.fence <= lease.fence) newest.set(lease.key, lease);
  }
  return [...newest.values()];
}
