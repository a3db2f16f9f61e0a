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

      -- Columns of a fixed width that are always there come first: Postgres finds those without walking
      -- the row, and every claim and completion looks at each indexed column of two versions of a row.
      CREATE TABLE tasks (
        id uuid NOT NULL,
        fence bigint NOT NULL DEFAULT 0,
        run_at timestamptz(3) NOT NULL,
        order_at timestamptz(3) NOT NULL,
        created_at timestamptz(3) NOT NULL DEFAULT now(),
        updated_at timestamptz(3) NOT NULL DEFAULT now(),
        initial_backoff_ms bigint NOT NULL,
        max_backoff_ms bigint NOT NULL,
        backoff_multiplier double precision NOT NULL,
        backoff_jitter double precision NOT NULL,
        state task_state NOT NULL,
        attempt integer NOT NULL DEFAULT 0,
        max_attempts integer NOT NULL,
        size_bytes integer NOT NULL,
        priority smallint NOT NULL,
        namespace text NOT NULL,
        queue text NOT NULL,
        lane text NOT NULL,
        kind text NOT NULL,
        required_capabilities text[] NOT NULL,
        labels jsonb NOT NULL DEFAULT '{}',
        failures jsonb NOT NULL DEFAULT '[]',
        payload json,
        execution_timeout_ms bigint,
        -- The longest time the lease was promised at once under this fence.
        lease_ms bigint,
        concurrency_key text,
        idempotency_key text,
        idempotency_hash text,
        leased_at timestamptz(3),
        finished_at timestamptz(3),
        worker_id text,
        progress json,
        result json,
        -- What the indexes hold of a row as long as they hold it. No index names the state itself, so a
        -- completion, which changes none of these, leaves all indexes alone: Postgres calls that a HOT update.
        ready_at timestamptz(3) GENERATED ALWAYS AS (CASE WHEN state = 'READY' THEN order_at END) STORED,
        waiting_since timestamptz(3) GENERATED ALWAYS AS (CASE WHEN state = 'READY' THEN run_at END) STORED,
        due_at timestamptz(3) GENERATED ALWAYS AS (CASE WHEN state = 'SCHEDULED' THEN run_at END) STORED,
        leased_key text GENERATED ALWAYS AS (CASE WHEN state = 'LEASED' THEN concurrency_key END) STORED,
        is_dead boolean GENERATED ALWAYS AS (CASE WHEN state = 'DEAD_LETTERED' THEN true END) STORED,
        -- A task that is not finished, and so may yet be ready, keeps its lane from being deleted.
        open_lane text GENERATED ALWAYS AS (CASE WHEN lane <> '' AND state NOT IN ('COMPLETED', 'CANCELLED') THEN lane END) STORED,
        PRIMARY KEY (namespace, id)
      );
      -- Its condition always holds, and serves only statements that repeat it: no plan for a look-up by ids may
      -- take this index for the primary key, which is as good while there is one queue, and ruinous later.
      CREATE INDEX tasks_queue ON tasks (namespace, queue, id) WHERE queue <> '';
      CREATE INDEX tasks_ready ON tasks (namespace, queue, lane, ready_at, id) WHERE ready_at IS NOT NULL;
      CREATE INDEX tasks_waiting ON tasks (namespace, queue, waiting_since) WHERE waiting_since IS NOT NULL;
      CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;
      CREATE INDEX tasks_concurrency ON tasks (namespace, queue, leased_key) WHERE leased_key IS NOT NULL;
      CREATE INDEX tasks_dead ON tasks (namespace, id) WHERE is_dead;
      CREATE INDEX tasks_open_lanes ON tasks (namespace, queue, open_lane) WHERE open_lane IS NOT NULL;
      CREATE INDEX tasks_labels ON tasks USING gin (labels jsonb_path_ops) WHERE labels <> '{}'::jsonb;
      CREATE UNIQUE INDEX tasks_idempotency ON tasks (namespace, idempotency_key) WHERE idempotency_key IS NOT NULL;
      -- Claimed and finished rows die quickly; vacuum has to come by often for claims to stay fast.
      -- Room is left on each page for the versions of a row that a claim and a completion make.
      ALTER TABLE tasks SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1);

      -- Who holds what since when it was last looked at: one row for each claim. When its time comes,
      -- those of its tasks that are leased under its fences still are looked at, and the row is replaced.
      CREATE TABLE lease_checks (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        check_at timestamptz(3) NOT NULL,
        namespace text NOT NULL,
        worker_id text NOT NULL,
        task_ids uuid[] NOT NULL,
        fences bigint[] NOT NULL
      );
      CREATE INDEX lease_checks_due ON lease_checks (check_at);
      CREATE INDEX lease_checks_holders ON lease_checks (namespace, worker_id);

      -- What was completed or cancelled when, one row for each statement, until it is deleted for its age.
      CREATE TABLE finished_tasks (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        finished_at timestamptz(3) NOT NULL DEFAULT now(),
        namespace text NOT NULL,
        task_ids uuid[] NOT NULL
      );
      CREATE INDEX finished_tasks_time ON finished_tasks (finished_at);

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

      -- What one statement did to tasks of one queue and kind is one row, each place in the arrays one
      -- event. Rows are read in the order (xid, id) and only below every running transaction, because
      -- ids alone become visible out of order.
      CREATE TABLE task_events (
        namespace text NOT NULL,
        xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
        id bigint GENERATED ALWAYS AS IDENTITY,
        queue text NOT NULL,
        kind text NOT NULL,
        type text NOT NULL,
        state task_state NOT NULL,
        worker_id text,
        occurred_at timestamptz(3) NOT NULL DEFAULT now(),
        task_ids uuid[] NOT NULL,
        attempts integer[] NOT NULL,
        fences bigint[] NOT NULL,
        PRIMARY KEY (namespace, xid, id)
      );
      -- A batch of a hundred stays in the row as it is; packing it would cost more than it saves.
      ALTER TABLE task_events SET (toast_tuple_target = 8160);
      CREATE INDEX task_events_time ON task_events USING brin (occurred_at);
      -- The last event that was deleted for its age, with its place in its row: a cursor before it has missed something.
      CREATE TABLE task_event_horizon (
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        xid xid8 NOT NULL,
        id bigint NOT NULL,
        place integer NOT NULL
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
