import { GATEWAY_SCOPE } from "../../core/principal.ts";
import type { Queryable } from "../../platform/postgres/database.ts";
import { BUILT_IN_ROLES } from "./permissions.ts";

/** Scope (a namespace or GATEWAY_SCOPE) → permissions. */
export type Grants = ReadonlyMap<string, ReadonlySet<string>>;

/** Everything that the bindings of these principals allow together, wherever they are. */
export async function loadGrants(database: Queryable, principalIds: readonly string[]): Promise<Grants> {
  const { rows } = await database.query<{ namespace: string | null; role: string; permissions: string[] | null }>(
    `SELECT binding.namespace, binding.role, role.permissions
     FROM role_bindings AS binding
     LEFT JOIN roles AS role ON role.namespace = binding.namespace AND role.name = binding.role
     WHERE binding.principal_id = ANY ($1::text[])`,
    [principalIds],
  );
  const grants = new Map<string, ReadonlySet<string>>();
  for (const row of rows) {
    const scope = row.namespace ?? GATEWAY_SCOPE;
    const permissions = BUILT_IN_ROLES.get(row.role)?.permissions ?? new Set(row.permissions ?? []);
    const others = grants.get(scope);
    grants.set(scope, others ? new Set([...others, ...permissions]) : permissions);
  }
  return grants;
}
