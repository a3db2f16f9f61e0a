import { invalidArgument } from "../../core/errors.ts";
import type { Queryable } from "../../platform/postgres/database.ts";
import type { Role, RoleBinding } from "./model.ts";
import { BUILT_IN_ROLES } from "./permissions.ts";

interface RoleRow {
  readonly namespace: string;
  readonly name: string;
  readonly description: string;
  readonly permissions: string[];
  readonly created_at: Date;
  readonly updated_at: Date;
}

interface BindingRow {
  readonly id: string;
  readonly principal_id: string;
  readonly role: string;
  readonly created_by: string;
  readonly created_at: Date;
}

export interface RoleValues {
  readonly namespace: string;
  readonly name: string;
  readonly description: string;
  readonly permissions: readonly string[];
}

export interface NewBinding {
  readonly id: string;
  /** Null for the whole gateway. */
  readonly namespace: string | null;
  readonly principalId: string;
  readonly role: string;
  readonly createdBy: string;
  readonly createdAt: Date;
}

function toRole(row: RoleRow): Role {
  return {
    namespace: row.namespace,
    name: row.name,
    description: row.description,
    permissions: row.permissions,
    isBuiltIn: false,
    createdAt: row.created_at.toISOString(),
    updatedAt: row.updated_at.toISOString(),
  };
}

/** A binding without its place, which is what it was asked for by. */
export type StoredBinding = Omit<RoleBinding, "namespace">;

function toBinding(row: BindingRow): StoredBinding {
  return {
    bindingId: row.id,
    principalId: row.principal_id,
    role: row.role,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
  };
}

/** Answers undefined where the name is taken. */
export async function insertRole(database: Queryable, role: RoleValues, now: Date): Promise<Role | undefined> {
  const { rows } = await database.query<RoleRow>(
    `INSERT INTO roles (namespace, name, description, permissions, created_at, updated_at)
     VALUES ($1, $2, $3, $4::text[], $5, $5) ON CONFLICT DO NOTHING RETURNING *`,
    [role.namespace, role.name, role.description, role.permissions, now],
  );
  return rows[0] && toRole(rows[0]);
}

export async function getRole(database: Queryable, namespace: string, name: string): Promise<Role | undefined> {
  const { rows } = await database.query<RoleRow>("SELECT * FROM roles WHERE namespace = $1 AND name = $2", [
    namespace,
    name,
  ]);
  return rows[0] && toRole(rows[0]);
}

/** The role, which nobody changes, deletes or binds until the transaction ends. */
export async function lockRole(database: Queryable, namespace: string, name: string): Promise<Role | undefined> {
  const { rows } = await database.query<RoleRow>("SELECT * FROM roles WHERE namespace = $1 AND name = $2 FOR UPDATE", [
    namespace,
    name,
  ]);
  return rows[0] && toRole(rows[0]);
}

export async function listRoles(database: Queryable, namespace: string): Promise<Role[]> {
  const { rows } = await database.query<RoleRow>("SELECT * FROM roles WHERE namespace = $1 ORDER BY name", [namespace]);
  return rows.map(toRole);
}

export async function updateRole(database: Queryable, role: RoleValues, now: Date): Promise<Role> {
  const { rows } = await database.query<RoleRow>(
    `UPDATE roles SET description = $3, permissions = $4::text[], updated_at = $5
     WHERE namespace = $1 AND name = $2 RETURNING *`,
    [role.namespace, role.name, role.description, role.permissions, now],
  );
  return toRole(rows[0]!);
}

export async function deleteRole(database: Queryable, namespace: string, name: string): Promise<void> {
  await database.query("DELETE FROM roles WHERE namespace = $1 AND name = $2", [namespace, name]);
}

export async function countBindingsOfRole(database: Queryable, namespace: string, role: string): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    "SELECT count(*) AS count FROM role_bindings WHERE namespace = $1 AND role = $2",
    [namespace, role],
  );
  return rows[0]!.count;
}

/**
 * All that the named roles allow, for somebody who is about to be given them. The whole gateway,
 * a namespace of null, has the built-in ones alone. They stay as they are
 * until the transaction ends; one that is not there is refused by its field.
 */
export async function loadRolePermissions(
  transaction: Queryable,
  namespace: string | null,
  roles: readonly string[],
  fieldOf: (index: number) => string,
): Promise<Set<string>> {
  const { rows } = await transaction.query<{ name: string; permissions: string[] }>(
    "SELECT name, permissions FROM roles WHERE namespace = $1 AND name = ANY ($2::text[]) ORDER BY name FOR SHARE",
    [namespace, roles],
  );
  const custom = new Map(rows.map((row) => [row.name, row.permissions]));
  const permissions = new Set<string>();
  for (const [index, name] of roles.entries()) {
    const ofRole = BUILT_IN_ROLES.get(name)?.permissions ?? custom.get(name);
    if (ofRole === undefined) {
      throw invalidArgument([{ field: fieldOf(index), message: "is no role here; list the roles of the namespace" }]);
    }
    for (const permission of ofRole) permissions.add(permission);
  }
  return permissions;
}

/** What a role that somebody has allows. */
export async function permissionsOfRole(
  transaction: Queryable,
  namespace: string | null,
  name: string,
): Promise<Iterable<string>> {
  const custom = namespace === null ? undefined : await getRole(transaction, namespace, name);
  return BUILT_IN_ROLES.get(name)?.permissions ?? custom?.permissions ?? [];
}

/** Answers undefined where the principal has that role there already. */
export async function insertBinding(database: Queryable, binding: NewBinding): Promise<StoredBinding | undefined> {
  const { rows } = await database.query<BindingRow>(
    `INSERT INTO role_bindings (id, namespace, principal_id, role, created_by, created_at)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING *`,
    [binding.id, binding.namespace, binding.principalId, binding.role, binding.createdBy, binding.createdAt],
  );
  return rows[0] && toBinding(rows[0]);
}

/** One text for each kind of place, because an index serves each of them and not both in one. */
const inPlace = (namespace: string | null) =>
  namespace === null ? "namespace IS NULL AND $1::text IS NULL" : "namespace = $1";

/** In the order of their ids, which is that of their making. */
export async function listBindings(
  database: Queryable,
  namespace: string | null,
  principalId: string | undefined,
  afterId: string | undefined,
  count: number,
): Promise<StoredBinding[]> {
  const { rows } = await database.query<BindingRow>(
    `SELECT * FROM role_bindings
     WHERE ${inPlace(namespace)} AND ($2::text IS NULL OR principal_id = $2) AND ($3::uuid IS NULL OR id > $3)
     ORDER BY id LIMIT $4`,
    [namespace, principalId ?? null, afterId ?? null, count],
  );
  return rows.map(toBinding);
}

/** The binding, which nobody deletes until the transaction ends. */
export async function lockBinding(
  transaction: Queryable,
  namespace: string | null,
  id: string,
): Promise<StoredBinding | undefined> {
  const { rows } = await transaction.query<BindingRow>(
    `SELECT * FROM role_bindings WHERE ${inPlace(namespace)} AND id = $2 FOR UPDATE`,
    [namespace, id],
  );
  return rows[0] && toBinding(rows[0]);
}

export async function deleteBinding(database: Queryable, id: string): Promise<void> {
  await database.query("DELETE FROM role_bindings WHERE id = $1", [id]);
}

export async function deleteBindingsOfPrincipal(database: Queryable, principalId: string): Promise<void> {
  await database.query("DELETE FROM role_bindings WHERE principal_id = $1", [principalId]);
}

export async function countBindings(database: Queryable, namespace: string | null): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    `SELECT count(*) AS count FROM role_bindings WHERE ${inPlace(namespace)}`,
    [namespace],
  );
  return rows[0]!.count;
}

/** What a STRICT namespace may not have: keys of others bound in it, and its keys bound elsewhere. */
export async function listForeignBindings(
  database: Queryable,
  namespace: string,
  count: number,
): Promise<{ principalId: string; namespace: string | null }[]> {
  const { rows } = await database.query<{ principal_id: string; namespace: string | null }>(
    `SELECT binding.principal_id, binding.namespace
     FROM role_bindings AS binding
     JOIN api_keys ON binding.principal_id = 'key:' || api_keys.id
     WHERE api_keys.namespace IS NOT NULL AND binding.namespace IS DISTINCT FROM api_keys.namespace
       AND (binding.namespace = $1 OR api_keys.namespace = $1)
     ORDER BY binding.principal_id, binding.namespace LIMIT $2`,
    [namespace, count],
  );
  return rows.map((row) => ({ principalId: row.principal_id, namespace: row.namespace }));
}
