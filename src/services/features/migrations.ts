/** Append-only: a migration that has run anywhere is never edited. Ids 400–499 belong to features. */
export const featureMigrations = [
  {
    id: 400,
    name: "feature_definitions",
    sql: `
      CREATE TABLE feature_groups (
        group_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace text NOT NULL,
        name text COLLATE "C" NOT NULL,
        description text NOT NULL,
        owner text NOT NULL,
        tags text[] NOT NULL,
        current_version integer NOT NULL,
        staged_version integer,
        last_version integer NOT NULL,
        revision bigint NOT NULL,
        created_at timestamptz(3) NOT NULL,
        updated_at timestamptz(3) NOT NULL,
        UNIQUE (namespace, name)
      );

      -- Where rows are kept: shared by the versions of a group that are compatible with each other.
      CREATE TABLE feature_datasets (
        dataset_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace text NOT NULL,
        group_id bigint REFERENCES feature_groups ON DELETE SET NULL,
        group_name text NOT NULL,
        first_version integer NOT NULL,
        entity_keys jsonb NOT NULL,
        features jsonb NOT NULL,
        -- Until when one gateway moves its rows about; others leave it alone for so long.
        tended_until timestamptz
      );
      CREATE INDEX feature_datasets_by_group ON feature_datasets (group_id);
      CREATE INDEX feature_datasets_orphaned ON feature_datasets (dataset_id) WHERE group_id IS NULL;

      CREATE TABLE feature_group_versions (
        group_id bigint NOT NULL REFERENCES feature_groups ON DELETE CASCADE,
        version integer NOT NULL,
        dataset_id bigint NOT NULL REFERENCES feature_datasets,
        definition jsonb NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz(3) NOT NULL,
        promoted_at timestamptz(3),
        PRIMARY KEY (group_id, version)
      );

      CREATE TABLE feature_views (
        view_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        namespace text NOT NULL,
        name text COLLATE "C" NOT NULL,
        description text NOT NULL,
        owner text NOT NULL,
        tags text[] NOT NULL,
        current_version integer NOT NULL,
        revision bigint NOT NULL,
        created_at timestamptz(3) NOT NULL,
        updated_at timestamptz(3) NOT NULL,
        UNIQUE (namespace, name)
      );
      CREATE TABLE feature_view_versions (
        view_id bigint NOT NULL REFERENCES feature_views ON DELETE CASCADE,
        version integer NOT NULL,
        features jsonb NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz(3) NOT NULL,
        PRIMARY KEY (view_id, version)
      );
      -- Which group versions a view version reads: who uses what, and what must not be deleted.
      CREATE TABLE feature_view_sources (
        group_id bigint NOT NULL REFERENCES feature_groups,
        namespace text COLLATE "C" NOT NULL,
        view_name text COLLATE "C" NOT NULL,
        view_version integer NOT NULL,
        group_version integer NOT NULL,
        view_id bigint NOT NULL,
        PRIMARY KEY (group_id, namespace, view_name, view_version, group_version),
        FOREIGN KEY (view_id, view_version) REFERENCES feature_view_versions ON DELETE CASCADE
      );
      CREATE INDEX feature_view_sources_by_view ON feature_view_sources (view_id, view_version);

      CREATE TABLE feature_shares (
        namespace text COLLATE "C" NOT NULL,
        resource_type text COLLATE "C" NOT NULL,
        resource_name text COLLATE "C" NOT NULL,
        with_namespace text COLLATE "C" NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz(3) NOT NULL,
        PRIMARY KEY (namespace, resource_type, resource_name, with_namespace)
      );
      CREATE INDEX feature_shares_by_receiver ON feature_shares (with_namespace, namespace, resource_type, resource_name);

      -- What a search looks through: each group and view, and each feature of a group's current version.
      CREATE TABLE feature_search (
        namespace text COLLATE "C" NOT NULL,
        resource text COLLATE "C" NOT NULL,
        resource_type text COLLATE "C" NOT NULL,
        -- Empty for the group or view itself.
        feature text COLLATE "C" NOT NULL,
        version integer NOT NULL,
        type text,
        description text NOT NULL,
        owner text NOT NULL,
        tags jsonb NOT NULL,
        -- Name and description in lower case.
        search_text text NOT NULL,
        PRIMARY KEY (namespace, resource, resource_type, feature)
      );
    `,
  },
  {
    id: 401,
    name: "feature_rows",
    sql: `
      -- What was acknowledged and is not in a Parquet file yet. One row a write; see row-batch.ts.
      CREATE TABLE feature_log (
        batch_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        dataset_id bigint NOT NULL,
        created_at timestamptz NOT NULL,
        row_count integer NOT NULL,
        -- Of its rows, in microseconds since the epoch.
        min_event_time bigint NOT NULL,
        max_event_time bigint NOT NULL,
        payload bytea NOT NULL
      );
      CREATE INDEX feature_log_by_dataset ON feature_log (dataset_id, batch_id);
      -- Packed numbers do not compress, and trying costs more than the bytes.
      ALTER TABLE feature_log ALTER COLUMN payload SET STORAGE EXTERNAL;

      -- The Parquet files that make up a dataset. A file is part of it from the commit of its row on.
      CREATE TABLE feature_files (
        file_id uuid PRIMARY KEY,
        dataset_id bigint NOT NULL,
        -- Below the data folder.
        path text NOT NULL,
        -- Of the event times, in UTC. NULL: rows of many days, each too few for a file of its own.
        day date,
        -- It has the columns of the dataset's first features, this many.
        feature_count integer NOT NULL,
        row_count bigint NOT NULL,
        size_bytes bigint NOT NULL,
        min_event_time bigint NOT NULL,
        max_event_time bigint NOT NULL,
        min_created_at bigint NOT NULL,
        max_created_at bigint NOT NULL,
        created_at timestamptz NOT NULL,
        -- Set when it is no longer part of the dataset: readers that began before still have it open.
        replaced_at timestamptz
      );
      CREATE INDEX feature_files_by_dataset ON feature_files (dataset_id, day) WHERE replaced_at IS NULL;
      CREATE INDEX feature_files_replaced ON feature_files (replaced_at) WHERE replaced_at IS NOT NULL;

      -- The mark of the folder that the files are in; the same stands in the folder.
      CREATE TABLE feature_folder (
        is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
        mark uuid NOT NULL
      );

      -- The online store where there is no Redis. Times and sequence are as in the packed row.
      CREATE TABLE feature_online (
        dataset_id bigint NOT NULL,
        entity text COLLATE "C" NOT NULL,
        event_time bigint NOT NULL,
        created_at bigint NOT NULL,
        sequence bigint NOT NULL,
        forget_at timestamptz,
        packed bytea NOT NULL,
        PRIMARY KEY (dataset_id, entity)
      ) WITH (fillfactor = 80);
      CREATE INDEX feature_online_forgotten ON feature_online (forget_at) WHERE forget_at IS NOT NULL;
    `,
  },
  {
    id: 402,
    name: "feature_quarantine",
    sql: `
      -- Rows that validation refused, as they were sent: text, because jsonb would not give them back as they were.
      CREATE TABLE feature_quarantine (
        row_id uuid PRIMARY KEY,
        namespace text NOT NULL,
        group_name text COLLATE "C" NOT NULL,
        version integer NOT NULL,
        sent text NOT NULL,
        problems jsonb NOT NULL,
        quarantined_at timestamptz(3) NOT NULL
      );
      CREATE INDEX feature_quarantine_by_group ON feature_quarantine (namespace, group_name, row_id);
    `,
  },
  {
    id: 403,
    name: "feature_exchange_files",
    sql: `
      -- Files that clients bring and fetch. What is in one stands under files/ in the features' folder.
      CREATE TABLE feature_exchange_files (
        file_id uuid PRIMARY KEY,
        namespace text COLLATE "C" NOT NULL,
        name text NOT NULL,
        format text NOT NULL,
        state text NOT NULL,
        -- So much of what is on the disk counts.
        size_bytes bigint NOT NULL,
        sha256 text,
        -- The job that made it; NULL where it was uploaded.
        job_id uuid,
        created_by text NOT NULL,
        created_at timestamptz(3) NOT NULL,
        expires_at timestamptz(3) NOT NULL
      );
      CREATE INDEX feature_exchange_files_by_namespace ON feature_exchange_files (namespace, file_id);
      CREATE INDEX feature_exchange_files_expired ON feature_exchange_files (expires_at);
    `,
  },
  {
    id: 404,
    name: "feature_jobs",
    sql: `
      CREATE TABLE feature_jobs (
        job_id uuid PRIMARY KEY,
        namespace text COLLATE "C" NOT NULL,
        kind text NOT NULL,
        state text NOT NULL,
        group_name text COLLATE "C",
        -- The uploaded file that it reads, which is kept as long.
        file_id uuid,
        request json NOT NULL,
        -- How far it has got for good, as its kind says; NULL before the first step.
        place json,
        progress_done bigint NOT NULL,
        progress_total bigint,
        progress_unit text NOT NULL,
        result json,
        error json,
        attempts integer NOT NULL,
        -- Grows with each claim: who holds an older one changes nothing any more.
        fence bigint NOT NULL,
        -- QUEUED: when it may be claimed. RUNNING: until when it is claimed.
        due_at timestamptz NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz(3) NOT NULL,
        started_at timestamptz(3),
        finished_at timestamptz(3)
      );
      CREATE INDEX feature_jobs_by_namespace ON feature_jobs (namespace, job_id);
      CREATE INDEX feature_jobs_served ON feature_jobs (namespace, started_at);
      CREATE INDEX feature_jobs_active ON feature_jobs (due_at) WHERE state IN ('QUEUED', 'RUNNING');
      CREATE INDEX feature_jobs_finished ON feature_jobs (finished_at) WHERE finished_at IS NOT NULL;
    `,
  },
];
