import type { Queryable } from "../../platform/postgres/database.ts";
import type { KnownLease, LeaseGrant, LeaseName, MergeableLeaseStore } from "./lease-store.ts";

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
  RETURNING key, ${DEADLINE_MS} AS "deadlineMs"`;

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

const INSPECT = `
  SELECT key, fence, ${DEADLINE_MS} AS "deadlineMs"
    FROM lease_deadlines
   WHERE space = $1 AND partition = $2 AND key = ANY ($3::text[])`;

const EXPIRED = `
  SELECT partition, key, fence
    FROM lease_deadlines
   WHERE space = $1 AND deadline <= now()
   ORDER BY deadline
   LIMIT $2`;

const NOW = `SELECT floor(extract(epoch FROM now()) * 1000)::int8 AS "nowMs"`;

interface DeadlineRow {
  readonly key: string;
  readonly deadlineMs: number;
}

/** Leases in Postgres, with the database's clock. Every call is one statement, whatever the size of its batch. */
export function createPostgresLeaseStore(database: Queryable): MergeableLeaseStore {
  const inspect = async (space: string, partition: string, keys: readonly string[]) => {
    if (keys.length === 0) return [];
    const { rows } = await database.query<DeadlineRow & KnownLease>(INSPECT, [space, partition, keys]);
    const known = new Map(rows.map(({ key, fence, deadlineMs }) => [key, { fence, deadlineMs }]));
    return keys.map((key) => known.get(key));
  };
  const deadlines = async (space: string, partition: string, keys: readonly string[]) =>
    (await inspect(space, partition, keys)).map((known) => known?.deadlineMs);

  return {
    async grant(space, partition, leases) {
      if (leases.length === 0) return [];
      const { rows } = await database.query<DeadlineRow>(GRANT, [space, partition, ...columns(newestOfEach(leases))]);
      const granted = new Map(rows.map(({ key, deadlineMs }) => [key, deadlineMs]));
      const refused = leases.filter(({ key }) => !granted.has(key)).map(({ key }) => key);
      // What has a newer fence stays as it was; answer with the deadline it has.
      for (const [index, deadlineMs] of (await deadlines(space, partition, refused)).entries()) {
        granted.set(refused[index]!, deadlineMs ?? 0);
      }
      return leases.map(({ key }) => granted.get(key)!);
    },
    async extend(space, partition, leases) {
      if (leases.length === 0) return [];
      const { rows } = await database.query<DeadlineRow & { fence: number }>(EXTEND, [
        space,
        partition,
        ...columns(leases),
      ]);
      const extended = new Map(rows.map(({ key, fence, deadlineMs }) => [`${fence} ${key}`, deadlineMs]));
      return leases.map(({ key, fence }) => extended.get(`${fence} ${key}`));
    },
    async release(space, partition, leases) {
      if (leases.length === 0) return;
      await database.query(RELEASE, [space, partition, leases.map(({ key }) => key), leases.map(({ fence }) => fence)]);
    },
    inspect,
    deadlines,
    async expired(space, limit) {
      const { rows } = await database.query<LeaseName & { partition: string }>(EXPIRED, [space, limit]);
      return rows;
    },
    async now() {
      const { rows } = await database.query<{ nowMs: number }>(NOW, []);
      return rows[0]!.nowMs;
    },
  };
}

function columns(leases: readonly LeaseGrant[]): [keys: string[], fences: number[], ttls: number[]] {
  return [leases.map(({ key }) => key), leases.map(({ fence }) => fence), leases.map(({ ttlMs }) => ttlMs)];
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
