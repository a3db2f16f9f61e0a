import type { Migration } from "../../platform/postgres/migrate.ts";

/** Namespaces, API keys, roles and who is bound to them. A namespace of NULL is the whole gateway. */
export const TENANCY_MIGRATIONS: readonly Migration[] = [
  {
    id: 100,
    name: "namespaces",
    sql: `
      CREATE TABLE namespaces (
        name text PRIMARY KEY,
        display_name text NOT NULL,
        description text NOT NULL,
        isolation text NOT NULL CHECK (isolation IN ('STRICT', 'SHARED', 'NONE')),
        quotas jsonb NOT NULL,
        revision bigint NOT NULL DEFAULT 1,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL
      );
      INSERT INTO namespaces (name, display_name, description, isolation, quotas, created_at, updated_at)
      VALUES ('default', 'Default', 'There from the first start.', 'SHARED', '{}', now(), now());`,
  },
  {
    id: 101,
    name: "api keys",
    sql: `
      CREATE TABLE api_keys (
        id text PRIMARY KEY,
        namespace text REFERENCES namespaces (name),
        display_name text NOT NULL,
        secret_hash bytea NOT NULL,
        previous_secret_hash bytea,
        previous_valid_until timestamptz,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        expires_at timestamptz,
        rotated_at timestamptz,
        revoked_at timestamptz,
        last_used_at timestamptz
      );
      CREATE INDEX api_keys_by_namespace ON api_keys (namespace, id);`,
  },
  {
    id: 102,
    name: "roles",
    sql: `
      CREATE TABLE roles (
        namespace text NOT NULL REFERENCES namespaces (name),
        name text NOT NULL,
        description text NOT NULL,
        permissions text[] NOT NULL,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        PRIMARY KEY (namespace, name)
      );
      CREATE TABLE role_bindings (
        id uuid PRIMARY KEY,
        namespace text REFERENCES namespaces (name),
        principal_id text NOT NULL,
        role text NOT NULL,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL
      );
      CREATE UNIQUE INDEX role_bindings_once ON role_bindings (principal_id, coalesce(namespace, '*'), role);
      CREATE INDEX role_bindings_by_namespace ON role_bindings (namespace, id);`,
  },
];
