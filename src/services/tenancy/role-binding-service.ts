import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { AppError, notFound } from "../../core/errors.ts";
import type { IdGenerator } from "../../core/ids.ts";
import { createPageTokens } from "../../core/page.ts";
import { GATEWAY_SCOPE, type Principal } from "../../core/principal.ts";
import type { Database, Queryable } from "../../platform/postgres/database.ts";
import { refuseGranting, refuseTakingAway } from "./access.ts";
import type { TenancyChanges } from "./changes.ts";
import { findKey } from "./key-store.ts";
import type {
  CreateGatewayRoleBindingRequest,
  CreateRoleBindingRequest,
  DeleteGatewayRoleBindingRequest,
  DeleteRoleBindingRequest,
  GatewayRoleBinding,
  ListGatewayRoleBindingsRequest,
  ListRoleBindingsRequest,
  RoleBinding,
} from "./model.ts";
import { requireNamespace } from "./namespace-store.ts";
import * as store from "./role-store.ts";
import { tooMany } from "./too-many.ts";

export interface RoleServiceOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly changes: TenancyChanges;
}

/** Who has which role: in a namespace, or in the whole gateway and so in every namespace. */
export interface RoleBindingService {
  bind(request: CreateRoleBindingRequest, granter: Principal): Promise<RoleBinding>;
  listBindings(request: ListRoleBindingsRequest): Promise<{ roleBindings: RoleBinding[]; nextPageToken?: string }>;
  unbind(request: DeleteRoleBindingRequest, remover: Principal): Promise<{ bindingId: string }>;
  bindInGateway(request: CreateGatewayRoleBindingRequest, granter: Principal): Promise<GatewayRoleBinding>;
  listGatewayBindings(
    request: ListGatewayRoleBindingsRequest,
  ): Promise<{ roleBindings: GatewayRoleBinding[]; nextPageToken?: string }>;
  unbindInGateway(request: DeleteGatewayRoleBindingRequest, remover: Principal): Promise<{ bindingId: string }>;
}

/** Null is the whole gateway, as in the tables. */
type Place = string | null;

const MAX_BINDINGS_PER_PLACE = 50_000;
const PageToken = z.tuple([z.uuid()]);

export function createRoleBindingService(options: RoleServiceOptions): RoleBindingService {
  const { database, clock, ids, changes } = options;

  async function bindIn(
    transaction: Queryable,
    place: Place,
    { principalId, role }: CreateGatewayRoleBindingRequest,
    granter: Principal,
  ): Promise<store.StoredBinding> {
    await requireSharable(transaction, place, principalId);
    if ((await store.countBindings(transaction, place)) >= MAX_BINDINGS_PER_PLACE) {
      throw tooMany("TOO_MANY_ROLE_BINDINGS", place, `${MAX_BINDINGS_PER_PLACE} role bindings`);
    }
    const permissions = await store.loadRolePermissions(transaction, place, [role], () => "role");
    refuseGranting(granter, permissions, place ?? GATEWAY_SCOPE);
    const createdAt = new Date(clock.now());
    const binding = { id: ids.uuid(), namespace: place, principalId, role, createdBy: granter.id, createdAt };
    const inserted = await store.insertBinding(transaction, binding);
    if (inserted === undefined) throw bindingExists(principalId, role);
    return inserted;
  }

  async function bind(place: Place, request: CreateGatewayRoleBindingRequest, granter: Principal) {
    const binding = await database.transaction((transaction) => bindIn(transaction, place, request, granter));
    changes.publish({ kind: "principal", id: request.principalId });
    return binding;
  }

  async function list(
    operation: string,
    place: Place,
    { principalId, pageSize, pageToken }: ListGatewayRoleBindingsRequest,
  ) {
    const tokens = createPageTokens(PageToken, [operation, place, principalId]);
    const [after] = tokens.decode(pageToken) ?? [];
    const found = await store.listBindings(database, place, principalId, after, pageSize + 1);
    const page = found.slice(0, pageSize);
    return { page, next: found.length > pageSize ? { nextPageToken: tokens.encode([page.at(-1)!.bindingId]) } : {} };
  }

  async function unbind(place: Place, bindingId: string, remover: Principal) {
    const principalId = await database.transaction(async (transaction) => {
      const binding = await store.lockBinding(transaction, place, bindingId);
      if (binding === undefined) throw notFound("role binding", bindingId);
      const permissions = await store.permissionsOfRole(transaction, place, binding.role);
      refuseTakingAway(remover, permissions, place ?? GATEWAY_SCOPE);
      await store.deleteBinding(transaction, bindingId);
      return binding.principalId;
    });
    changes.publish({ kind: "principal", id: principalId });
    return { bindingId };
  }

  return {
    bind: async ({ namespace, ...request }, granter) => ({ ...(await bind(namespace, request, granter)), namespace }),
    async listBindings({ namespace, ...request }) {
      const { page, next } = await list("roles.listBindings", namespace, request);
      return { roleBindings: page.map((binding) => ({ ...binding, namespace })), ...next };
    },
    unbind: ({ namespace, bindingId }, remover) => unbind(namespace, bindingId, remover),
    bindInGateway: (request, granter) => bind(null, request, granter),
    async listGatewayBindings(request) {
      const { page, next } = await list("gatewayRoles.listBindings", null, request);
      return { roleBindings: page, ...next };
    },
    unbindInGateway: ({ bindingId }, remover) => unbind(null, bindingId, remover),
  };
}

/**
 * A STRICT namespace neither takes keys of others nor lends its own. The namespaces are held as they
 * are until the transaction ends, so that none becomes STRICT meanwhile.
 */
async function requireSharable(transaction: Queryable, place: Place, principalId: string): Promise<void> {
  const target = place === null ? undefined : await requireNamespace(transaction, place);
  if (!principalId.startsWith("key:")) return;
  const keyId = principalId.slice("key:".length);
  const key = await findKey(transaction, keyId);
  if (key === undefined || key.revoked_at !== null) throw notFound("api key", keyId);
  if (key.namespace === null || key.namespace === place) return;
  if (target?.isolation === "STRICT") throw strict(place, "takes no keys of other namespaces");
  const home = await requireNamespace(transaction, key.namespace);
  // Its name is not the granter's to know.
  if (home.isolation === "STRICT") throw strict(null, "does not lend its keys to others");
}

function strict(namespace: Place, rule: string): AppError {
  const subject = namespace === null ? "The key belongs to a namespace that" : `Namespace "${namespace}"`;
  return new AppError(
    "FAILED_PRECONDITION",
    "NAMESPACE_STRICT",
    `${subject} is STRICT and ${rule}. Take a key of another namespace, or create one where it shall work.`,
  );
}

function bindingExists(principalId: string, role: string): AppError {
  return new AppError("ALREADY_EXISTS", "ROLE_BINDING_EXISTS", `${principalId} has the role "${role}" here already.`);
}
