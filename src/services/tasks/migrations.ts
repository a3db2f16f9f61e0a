/** Append-only: a migration that has run anywhere is never edited. Ids 300–399 belong to tasks. */
export const taskMigrations = [
  {
    id: 300,
    name: "tasks",
    sql: `
      CREATE TYPE task_state AS ENUM ('SCHEDULED', 'READY', 'LEASED', 'COMPLETED', 'DEAD_LETTERED', 'CANCELLED');

      CREATE TABLE queues (
        namespace text NOT NULL,
        name text NOT NULL,
        paused boolean NOT NULL DEFAULT false,
        pause_reason text,
        max_concurrency integer,
        max_concurrency_per_key integer,
        aging_ms bigint NOT NULL DEFAULT 3600000,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        updated_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (namespace, name)
      );

      -- A lane is one set of required capabilities within a queue, so that a worker's claim reads
      -- only tasks it can do, in order, however many others wait before them.
      CREATE TABLE queue_lanes (
        namespace text NOT NULL,
        queue text NOT NULL,
        lane text NOT NULL,
        capabilities text[] NOT NULL,
        PRIMARY KEY (namespace, queue, lane)
      );

      CREATE TABLE tasks (
        namespace text NOT NULL,
        id uuid NOT NULL,
        queue text NOT NULL,
        lane text NOT NULL,
        kind text NOT NULL,
        state task_state NOT NULL,
        priority smallint NOT NULL,
        attempt integer NOT NULL DEFAULT 0,
        fence bigint NOT NULL DEFAULT 0,
        run_at timestamptz(3) NOT NULL,
        order_at timestamptz(3) NOT NULL,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        updated_at timestamptz(3) NOT NULL DEFAULT now(),
        leased_at timestamptz(3),
        check_at timestamptz(3),
        finished_at timestamptz(3),
        size_bytes integer NOT NULL,
        worker_id text,
        concurrency_key text,
        idempotency_key text,
        idempotency_hash text,
        execution_timeout_ms bigint,
        max_attempts integer NOT NULL,
        initial_backoff_ms bigint NOT NULL,
        max_backoff_ms bigint NOT NULL,
        backoff_multiplier double precision NOT NULL,
        backoff_jitter double precision NOT NULL,
        required_capabilities text[] NOT NULL,
        labels jsonb NOT NULL DEFAULT '{}',
        payload json,
        result json,
        progress json,
        failures jsonb NOT NULL DEFAULT '[]',
        PRIMARY KEY (namespace, id)
      );
      CREATE INDEX tasks_ready ON tasks (namespace, queue, lane, order_at, id) WHERE state = 'READY';
      CREATE INDEX tasks_due ON tasks (run_at) WHERE state = 'SCHEDULED';
      CREATE INDEX tasks_check ON tasks (check_at) WHERE state = 'LEASED';
      CREATE INDEX tasks_concurrency ON tasks (namespace, queue, concurrency_key) WHERE state = 'LEASED' AND concurrency_key IS NOT NULL;
      CREATE INDEX tasks_dead ON tasks (namespace, id) WHERE state = 'DEAD_LETTERED';
      CREATE INDEX tasks_finished ON tasks (finished_at) WHERE state IN ('COMPLETED', 'CANCELLED');
      CREATE INDEX tasks_labels ON tasks USING gin (labels jsonb_path_ops) WHERE labels <> '{}'::jsonb;
      CREATE UNIQUE INDEX tasks_idempotency ON tasks (namespace, idempotency_key) WHERE idempotency_key IS NOT NULL;
      -- Claimed and finished rows die quickly; vacuum has to come by often for claims to stay fast.
      ALTER TABLE tasks SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1);

      -- Sums of what happened, spread over slots (one for each of 16 groups of connections), so that
      -- concurrent statements do not wait for one another's row. A figure is the sum over the slots.
      CREATE TABLE queue_counters (
        namespace text NOT NULL,
        queue text NOT NULL,
        priority smallint NOT NULL,
        slot smallint NOT NULL,
        scheduled bigint NOT NULL DEFAULT 0,
        ready bigint NOT NULL DEFAULT 0,
        leased bigint NOT NULL DEFAULT 0,
        completed bigint NOT NULL DEFAULT 0,
        dead_lettered bigint NOT NULL DEFAULT 0,
        cancelled bigint NOT NULL DEFAULT 0,
        stored_bytes bigint NOT NULL DEFAULT 0,
        enqueued_total bigint NOT NULL DEFAULT 0,
        leased_total bigint NOT NULL DEFAULT 0,
        completed_total bigint NOT NULL DEFAULT 0,
        failed_total bigint NOT NULL DEFAULT 0,
        expired_total bigint NOT NULL DEFAULT 0,
        dead_lettered_total bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (namespace, queue, priority, slot)
      ) WITH (fillfactor = 50);

      CREATE TABLE queue_samples (
        namespace text NOT NULL,
        queue text NOT NULL,
        sampled_at timestamptz(3) NOT NULL,
        enqueued_total bigint NOT NULL,
        completed_total bigint NOT NULL,
        failed_total bigint NOT NULL,
        PRIMARY KEY (namespace, queue, sampled_at)
      );

      -- Events are read in the order (xid, id) and only below every running transaction, because
      -- ids alone become visible out of order.
      CREATE TABLE task_events (
        namespace text NOT NULL,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        id bigint GENERATED ALWAYS AS IDENTITY,
        task_id uuid NOT NULL,
        queue text NOT NULL,
        kind text NOT NULL,
        type text NOT NULL,
        state task_state NOT NULL,
        attempt integer NOT NULL,
        fence bigint NOT NULL,
        worker_id text,
        occurred_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (namespace, xid, id)
      );
      CREATE INDEX task_events_time ON task_events USING brin (occurred_at);
      -- The last event that was deleted for its age: a cursor before it has missed something.
      CREATE TABLE task_event_horizon (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        xid xid8 NOT NULL,
        id bigint NOT NULL
      );

      CREATE TABLE workers (
        namespace text NOT NULL,
        id text NOT NULL,
        draining boolean NOT NULL DEFAULT false,
        generation bigint NOT NULL DEFAULT 1,
        queues text[] NOT NULL,
        capabilities text[] NOT NULL,
        metadata jsonb NOT NULL,
        ttl_ms bigint NOT NULL,
        registered_at timestamptz(3) NOT NULL DEFAULT now(),
        PRIMARY KEY (namespace, id)
      );
    `,
  },
] as const;
