import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { AppError, notFound } from "../../core/errors.ts";
import type { IdGenerator } from "../../core/ids.ts";
import { decodePageToken, encodePageToken } from "../../core/page.ts";
import type { Principal } from "../../core/principal.ts";
import type { Database, Queryable } from "../../platform/postgres/database.ts";
import { refuseEscalation } from "./access.ts";
import type { TenancyChanges } from "./changes.ts";
import { findKey } from "./key-store.ts";
import type {
  CreateRoleBindingRequest,
  CreateRoleRequest,
  DeleteRoleBindingRequest,
  GetRoleRequest,
  ListRoleBindingsRequest,
  Namespace,
  Role,
  RoleBinding,
  UpdateRoleRequest,
} from "./model.ts";
import { lockNamespace } from "./namespace-store.ts";
import { BUILT_IN_ROLES, type BuiltInRole } from "./permissions.ts";
import * as store from "./role-store.ts";

export interface RoleServiceOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly changes: TenancyChanges;
}

export interface RoleService {
  create(request: CreateRoleRequest, creator: Principal): Promise<Role>;
  get(request: GetRoleRequest): Promise<Role>;
  list(namespace: string): Promise<{ roles: Role[] }>;
  update(request: UpdateRoleRequest, editor: Principal): Promise<Role>;
  delete(request: GetRoleRequest): Promise<{ role: string }>;
  bind(request: CreateRoleBindingRequest, granter: Principal): Promise<RoleBinding>;
  listBindings(request: ListRoleBindingsRequest): Promise<{ roleBindings: RoleBinding[]; nextPageToken?: string }>;
  unbind(request: DeleteRoleBindingRequest): Promise<{ bindingId: string }>;
}

const MAX_ROLES_PER_NAMESPACE = 200;
const MAX_BINDINGS_PER_NAMESPACE = 50_000;
const PageToken = z.tuple([z.uuid()]);

export function createRoleService(options: RoleServiceOptions): RoleService {
  const { database, clock, ids, changes } = options;

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
    const held = new Set(current.permissions);
    const added = permissions.filter((permission) => !held.has(permission));
    refuseEscalation(editor, added, request.namespace);
    const description = request.description ?? current.description;
    return store.updateRole(transaction, { ...current, description, permissions }, new Date(clock.now()));
  }

  async function bindIn(
    transaction: Queryable,
    request: CreateRoleBindingRequest,
    granter: Principal,
  ): Promise<RoleBinding> {
    const { namespace, principalId, role } = request;
    await requireSharable(transaction, namespace, principalId);
    if ((await store.countBindings(transaction, namespace)) >= MAX_BINDINGS_PER_NAMESPACE) {
      throw tooMany("TOO_MANY_ROLE_BINDINGS", namespace, `${MAX_BINDINGS_PER_NAMESPACE} role bindings`);
    }
    const permissions = await store.loadRolePermissions(transaction, namespace, [role], () => "role");
    refuseEscalation(granter, permissions, namespace);
    const binding = await store.insertBinding(transaction, {
      id: ids.uuid(),
      namespace,
      principalId,
      role,
      createdBy: granter.id,
      createdAt: new Date(clock.now()),
    });
    if (binding === undefined) throw bindingExists(principalId, role);
    return binding;
  }

  return {
    async create(request, creator) {
      if (BUILT_IN_ROLES.has(request.name)) throw roleExists(request.name);
      refuseEscalation(creator, request.permissions, request.namespace);
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

    async delete({ namespace, role }) {
      refuseBuiltIn(role);
      await database.transaction(async (transaction) => {
        if ((await store.lockRole(transaction, namespace, role)) === undefined) throw notFound("role", role);
        const bindings = await store.countBindingsOfRole(transaction, namespace, role);
        if (bindings > 0) throw roleInUse(role, bindings);
        await store.deleteRole(transaction, namespace, role);
      });
      return { role };
    },

    async bind(request, granter) {
      const binding = await database.transaction((transaction) => bindIn(transaction, request, granter));
      changes.publish({ kind: "principal", id: request.principalId });
      return binding;
    },

    async listBindings({ namespace, principalId, pageSize, pageToken }) {
      const [after] = decodePageToken(pageToken, PageToken) ?? [];
      const found = await store.listBindings(database, namespace, principalId, after, pageSize + 1);
      const roleBindings = found.slice(0, pageSize);
      if (found.length <= pageSize) return { roleBindings };
      return { roleBindings, nextPageToken: encodePageToken([roleBindings.at(-1)!.bindingId]) };
    },

    async unbind({ namespace, bindingId }) {
      const principalId = await store.deleteBinding(database, namespace, bindingId);
      if (principalId === undefined) throw notFound("role binding", bindingId);
      changes.publish({ kind: "principal", id: principalId });
      return { bindingId };
    },
  };
}

async function requireNamespace(transaction: Queryable, name: string): Promise<Namespace> {
  const namespace = await lockNamespace(transaction, name, "SHARE");
  if (namespace === undefined) throw notFound("namespace", name);
  return namespace;
}

/**
 * A STRICT namespace neither takes keys of others nor lends its own. Both namespaces are held as they
 * are until the transaction ends, so that none becomes STRICT meanwhile.
 */
async function requireSharable(transaction: Queryable, namespace: string, principalId: string): Promise<void> {
  const target = await requireNamespace(transaction, namespace);
  if (!principalId.startsWith("key:")) return;
  const keyId = principalId.slice("key:".length);
  const key = await findKey(transaction, keyId);
  if (key === undefined || key.revoked_at !== null) throw notFound("api key", keyId);
  if (key.namespace === null || key.namespace === namespace) return;
  if (target.isolation === "STRICT") throw strict(namespace, "takes no keys of other namespaces");
  const home = await requireNamespace(transaction, key.namespace);
  // Its name is not the granter's to know.
  if (home.isolation === "STRICT") throw strict(undefined, "does not lend its keys to others");
}

function strict(namespace: string | undefined, rule: string): AppError {
  const subject = namespace === undefined ? "The key belongs to a namespace that" : `Namespace "${namespace}"`;
  return new AppError(
    "FAILED_PRECONDITION",
    "NAMESPACE_STRICT",
    `${subject} is STRICT and ${rule}. Create a key in the namespace itself instead.`,
  );
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

function bindingExists(principalId: string, role: string): AppError {
  return new AppError("ALREADY_EXISTS", "ROLE_BINDING_EXISTS", `${principalId} has the role "${role}" here already.`);
}

function tooMany(reason: string, namespace: string, what: string): AppError {
  return new AppError("RESOURCE_EXHAUSTED", reason, `Namespace "${namespace}" may have ${what}. Delete some first.`, {
    details: { quota: { subject: `namespaces/${namespace}`, description: `at most ${what}` } },
  });
}
