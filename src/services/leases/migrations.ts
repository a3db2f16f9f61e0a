/** Append-only: a migration that has run anywhere is never edited. Ids 200–299 belong to leases. */
export const leaseMigrations = [
  {
    id: 200,
    name: "leases",
    sql: `
      -- The liveness half, where there is no Redis or it is away. Rows change with each heartbeat, so
      -- pages keep room for their new versions and vacuum comes often.
      CREATE TABLE lease_deadlines (
        space text NOT NULL,
        partition text NOT NULL,
        key text NOT NULL,
        fence bigint NOT NULL,
        deadline timestamptz NOT NULL,
        PRIMARY KEY (space, partition, key)
      ) WITH (
        fillfactor = 50,
        autovacuum_vacuum_scale_factor = 0.01,
        autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0
      );
      CREATE INDEX lease_deadlines_by_deadline ON lease_deadlines (space, deadline);

      -- The safety half of the leases that clients take on names of their own.
      CREATE TABLE lease_resources (
        namespace text NOT NULL,
        name text COLLATE "C" NOT NULL,
        fence bigint NOT NULL,
        held boolean NOT NULL,
        holder text NOT NULL,
        ttl_ms bigint NOT NULL,
        longest_ttl_ms bigint NOT NULL,
        revision bigint NOT NULL DEFAULT 1,
        metadata jsonb NOT NULL,
        acquired_at timestamptz(3) NOT NULL,
        released_at timestamptz(3),
        PRIMARY KEY (namespace, name)
      );
      CREATE INDEX lease_resources_released ON lease_resources (released_at) WHERE NOT held;

      -- One sequence for all names: a name whose row was cleared away still never sees a fence again.
      CREATE SEQUENCE lease_fences;

      -- Which half keeps the deadlines now, for all gateways; used where there is a Redis.
      CREATE TABLE lease_charge (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        installation text NOT NULL DEFAULT substr(gen_random_uuid()::text, 1, 8),
        epoch bigint NOT NULL DEFAULT 1,
        is_primary boolean NOT NULL DEFAULT true,
        changed_at timestamptz NOT NULL DEFAULT now(),
        away_at timestamptz NOT NULL DEFAULT now(),
        quiet_ms bigint NOT NULL DEFAULT 0
      );
      INSERT INTO lease_charge DEFAULT VALUES;
    `,
  },
];
