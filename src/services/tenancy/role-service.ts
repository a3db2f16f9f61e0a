import { AppError, notFound } from "../../core/errors.ts";
import type { Principal } from "../../core/principal.ts";
import type { Queryable } from "../../platform/postgres/database.ts";
import { refuseGranting, refuseTakingAway } from "./access.ts";
import type { CreateRoleRequest, GetRoleRequest, Role, UpdateRoleRequest } from "./model.ts";
import { requireNamespace } from "./namespace-store.ts";
import { BUILT_IN_ROLES, type BuiltInRole } from "./permissions.ts";
import { createRoleBindingService, type RoleBindingService, type RoleServiceOptions } from "./role-binding-service.ts";
import * as store from "./role-store.ts";
import { tooMany } from "./too-many.ts";

export interface RoleService extends RoleBindingService {
  create(request: CreateRoleRequest, creator: Principal): Promise<Role>;
  get(request: GetRoleRequest): Promise<Role>;
  list(namespace: string): Promise<{ roles: Role[] }>;
  update(request: UpdateRoleRequest, editor: Principal): Promise<Role>;
  delete(request: GetRoleRequest, remover: Principal): Promise<{ role: string }>;
}

const MAX_ROLES_PER_NAMESPACE = 200;

export function createRoleService(options: RoleServiceOptions): RoleService {
  const { database, clock, changes } = options;

  async function createIn(transaction: Queryable, request: CreateRoleRequest): Promise<Role> {
    const { namespace, name, description = "" } = request;
    await requireNamespace(transaction, namespace);
    if ((await store.listRoles(transaction, namespace)).length >= MAX_ROLES_PER_NAMESPACE) {
      throw tooMany("TOO_MANY_ROLES", namespace, `${MAX_ROLES_PER_NAMESPACE} custom roles`);
    }
    const permissions = [...new Set(request.permissions)];
    const values = { namespace, name, description, permissions };
    const created = await store.insertRole(transaction, values, new Date(clock.now()));
    if (created === undefined) throw roleExists(name);
    return created;
  }

  async function updateIn(transaction: Queryable, request: UpdateRoleRequest, editor: Principal): Promise<Role> {
    const current = await store.lockRole(transaction, request.namespace, request.role);
    if (current === undefined) throw notFound("role", request.role);
    const permissions = request.permissions ? [...new Set(request.permissions)] : current.permissions;
    refuseGranting(editor, without(permissions, current.permissions), request.namespace);
    refuseTakingAway(editor, without(current.permissions, permissions), request.namespace);
    const description = request.description ?? current.description;
    return store.updateRole(transaction, { ...current, description, permissions }, new Date(clock.now()));
  }

  return {
    ...createRoleBindingService(options),

    async create(request, creator) {
      if (BUILT_IN_ROLES.has(request.name)) throw roleExists(request.name);
      refuseGranting(creator, request.permissions, request.namespace);
      return database.transaction((transaction) => createIn(transaction, request));
    },

    async get({ namespace, role: name }) {
      const builtIn = BUILT_IN_ROLES.get(name);
      const role = builtIn ? describeBuiltIn(namespace, builtIn) : await store.getRole(database, namespace, name);
      if (role === undefined) throw notFound("role", name);
      return role;
    },

    async list(namespace) {
      const builtIn = [...BUILT_IN_ROLES.values()].map((role) => describeBuiltIn(namespace, role));
      return { roles: [...builtIn, ...(await store.listRoles(database, namespace))] };
    },

    async update(request, editor) {
      refuseBuiltIn(request.role);
      const updated = await database.transaction((transaction) => updateIn(transaction, request, editor));
      changes.publish({ kind: "grants", namespace: request.namespace });
      return updated;
    },

    async delete({ namespace, role }, remover) {
      refuseBuiltIn(role);
      await database.transaction(async (transaction) => {
        const current = await store.lockRole(transaction, namespace, role);
        if (current === undefined) throw notFound("role", role);
        refuseTakingAway(remover, current.permissions, namespace);
        const bindings = await store.countBindingsOfRole(transaction, namespace, role);
        if (bindings > 0) throw roleInUse(role, bindings);
        await store.deleteRole(transaction, namespace, role);
      });
      return { role };
    },
  };
}

function without(permissions: readonly string[], others: readonly string[]): string[] {
  return permissions.filter((permission) => !others.includes(permission));
}

function describeBuiltIn(namespace: string, role: BuiltInRole): Role {
  const { name, description } = role;
  return { namespace, name, description, permissions: [...role.permissions], isBuiltIn: true };
}

function refuseBuiltIn(role: string): void {
  if (!BUILT_IN_ROLES.has(role)) return;
  throw new AppError(
    "FAILED_PRECONDITION",
    "ROLE_BUILT_IN",
    `The role "${role}" is built in and stays as it is. Create a role of your own.`,
  );
}

function roleExists(name: string): AppError {
  return new AppError("ALREADY_EXISTS", "ROLE_EXISTS", `There is a role "${name}" already. Choose another name.`);
}

function roleInUse(role: string, bindings: number): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "ROLE_IN_USE",
    `The role "${role}" is still given to principals by ${bindings} bindings. Delete those first.`,
  );
}
