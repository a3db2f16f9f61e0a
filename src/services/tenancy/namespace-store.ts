import type { z } from "zod";
import type { NamespaceScope } from "../../core/call.ts";
import { notFound } from "../../core/errors.ts";
import type { Queryable } from "../../platform/postgres/database.ts";
import type { Namespace, Quotas } from "./model.ts";

type Isolation = NamespaceScope["isolation"];
type QuotaValues = z.output<typeof Quotas>;

interface NamespaceRow {
  readonly name: string;
  readonly display_name: string;
  readonly description: string;
  readonly isolation: Isolation;
  readonly quotas: QuotaValues;
  readonly revision: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** How long a transaction holds a namespace: SHARE keeps others from changing or deleting it, UPDATE also from adding to it. */
export type NamespaceLock = "SHARE" | "UPDATE";

export interface NamespaceValues {
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  readonly isolation: Isolation;
  readonly quotas: QuotaValues;
}

function toNamespace(row: NamespaceRow): Namespace {
  return {
    name: row.name,
    displayName: row.display_name,
    description: row.description,
    isolation: row.isolation,
    quotas: row.quotas,
    revision: row.revision,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

/** Answers undefined where the name is taken. */
export async function insertNamespace(
  database: Queryable,
  values: NamespaceValues,
  now: Date,
): Promise<Namespace | undefined> {
  const { rows } = await database.query<NamespaceRow>(
    `INSERT INTO namespaces (name, display_name, description, isolation, quotas, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5::jsonb, $6, $6) ON CONFLICT DO NOTHING RETURNING *`,
    [values.name, values.displayName, values.description, values.isolation, JSON.stringify(values.quotas), now],
  );
  return rows[0] && toNamespace(rows[0]);
}

export async function getNamespace(database: Queryable, name: string): Promise<Namespace | undefined> {
  const { rows } = await database.query<NamespaceRow>("SELECT * FROM namespaces WHERE name = $1", [name]);
  return rows[0] && toNamespace(rows[0]);
}

export async function lockNamespace(
  database: Queryable,
  name: string,
  lock: NamespaceLock,
): Promise<Namespace | undefined> {
  const { rows } = await database.query<NamespaceRow>(
    lock === "SHARE"
      ? "SELECT * FROM namespaces WHERE name = $1 FOR SHARE"
      : "SELECT * FROM namespaces WHERE name = $1 FOR UPDATE",
    [name],
  );
  return rows[0] && toNamespace(rows[0]);
}

/** The namespace as it stays until the transaction ends; NOT_FOUND where it is not there. */
export async function requireNamespace(transaction: Queryable, name: string): Promise<Namespace> {
  const namespace = await lockNamespace(transaction, name, "SHARE");
  if (namespace === undefined) throw notFound("namespace", name);
  return namespace;
}

/** By name, from after `afterName`. `visible` names what the caller may read; undefined is everything. */
export async function listNamespaces(
  database: Queryable,
  visible: readonly string[] | undefined,
  afterName: string,
  count: number,
): Promise<Namespace[]> {
  const { rows } = await database.query<NamespaceRow>(
    `SELECT * FROM namespaces
     WHERE name COLLATE "C" > $1 AND ($2::text[] IS NULL OR name = ANY ($2) OR isolation = 'NONE')
     ORDER BY name COLLATE "C" LIMIT $3`,
    [afterName, visible ?? null, count],
  );
  return rows.map(toNamespace);
}

export async function updateNamespace(database: Queryable, values: NamespaceValues, now: Date): Promise<Namespace> {
  const { rows } = await database.query<NamespaceRow>(
    `UPDATE namespaces
     SET display_name = $2, description = $3, isolation = $4, quotas = $5::jsonb, updated_at = $6, revision = revision + 1
     WHERE name = $1 RETURNING *`,
    [values.name, values.displayName, values.description, values.isolation, JSON.stringify(values.quotas), now],
  );
  return toNamespace(rows[0]!);
}

/** Deletes the namespace with its keys and roles, and what its keys were granted elsewhere. */
export async function deleteNamespace(database: Queryable, name: string): Promise<void> {
  await database.query(
    `DELETE FROM role_bindings
     WHERE namespace = $1
        OR principal_id IN (SELECT 'key:' || id FROM api_keys WHERE api_keys.namespace = $1)`,
    [name],
  );
  await database.query("DELETE FROM roles WHERE namespace = $1", [name]);
  await database.query("DELETE FROM api_keys WHERE namespace = $1", [name]);
  await database.query("DELETE FROM namespaces WHERE name = $1", [name]);
}
