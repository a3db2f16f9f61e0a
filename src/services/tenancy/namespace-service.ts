import { z } from "zod";
import type { NamespaceScope } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { AppError, notFound } from "../../core/errors.ts";
import { createPageTokens } from "../../core/page.ts";
import { GATEWAY_SCOPE, isPermitted, type Principal } from "../../core/principal.ts";
import type { Database, Queryable } from "../../platform/postgres/database.ts";
import { permissionDenied } from "./access.ts";
import type { TenancyChanges } from "./changes.ts";
import {
  BYTES_PER_MB,
  type CreateNamespaceRequest,
  type DeleteNamespaceRequest,
  type ListNamespacesRequest,
  type Namespace,
  type NamespaceUsage,
  type UpdateNamespaceRequest,
} from "./model.ts";
import {
  deleteNamespace,
  getNamespace,
  insertNamespace,
  listNamespaces,
  lockNamespace,
  updateNamespace,
} from "./namespace-store.ts";
import { listForeignBindings } from "./role-store.ts";

/** What a domain knows of a namespace's use. What several domains know adds up. */
export interface UsageFigures {
  readonly workflows: number;
  readonly concurrentExecutions: number;
  readonly queueDepth: number;
  readonly storageBytes: number;
  readonly requestsThisMinute: number;
}

export type UsageSource = (namespace: string) => Promise<Partial<UsageFigures>> | Partial<UsageFigures>;

/** Says in words what the namespace still holds, e.g. `12 tasks`; nothing where it is empty. */
export type EmptinessCheck = (transaction: Queryable, namespace: string) => Promise<readonly string[]>;

/** Deletes all that a domain keeps of the namespace. */
export type NamespacePurger = (transaction: Queryable, namespace: string) => Promise<void>;

export interface NamespaceServiceOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly changes: TenancyChanges;
  readonly usageSources: readonly UsageSource[];
  readonly emptinessChecks: readonly EmptinessCheck[];
  readonly purgers: readonly NamespacePurger[];
}

export interface NamespaceService {
  create(request: CreateNamespaceRequest): Promise<Namespace>;
  get(name: string): Promise<Namespace>;
  list(
    request: ListNamespacesRequest,
    principal: Principal,
  ): Promise<{ namespaces: Namespace[]; nextPageToken?: string }>;
  update(request: UpdateNamespaceRequest, principal: Principal): Promise<Namespace>;
  delete(request: DeleteNamespaceRequest): Promise<{ namespace: string }>;
  usage(namespace: NamespaceScope): Promise<NamespaceUsage>;
}

export const DEFAULT_NAMESPACE = "default";
/** Foreign bindings that a refusal names. */
const MAX_BINDINGS_NAMED = 10;
const PageToken = z.tuple([z.string().max(63)]);

export function createNamespaceService(options: NamespaceServiceOptions): NamespaceService {
  const { database, clock, changes } = options;

  async function applyUpdate(
    transaction: Queryable,
    request: UpdateNamespaceRequest,
    principal: Principal,
  ): Promise<Namespace> {
    const current = await lockNamespace(transaction, request.namespace, "UPDATE");
    if (current === undefined) throw notFound("namespace", request.namespace);
    if (request.revision !== undefined && request.revision !== current.revision) throw revisionMismatch(current);
    // Quotas hold a tenant's own administrators too, so they are not theirs to raise.
    if (request.quotas !== undefined && !isPermitted(principal, "namespaces.update", GATEWAY_SCOPE)) {
      throw permissionDenied("namespaces.update", undefined);
    }
    if (request.isolation === "STRICT" && current.isolation !== "STRICT") {
      await refuseForeignBindings(transaction, request.namespace);
    }
    const { displayName, description, isolation, quotas } = request;
    return updateNamespace(
      transaction,
      {
        name: current.name,
        displayName: displayName ?? current.displayName,
        description: description ?? current.description,
        isolation: isolation ?? current.isolation,
        quotas: quotas ?? current.quotas,
      },
      new Date(clock.now()),
    );
  }

  return {
    async create(request) {
      const { name, displayName = name, description = "", isolation = "SHARED", quotas = {} } = request;
      const values = { name, displayName, description, isolation, quotas };
      const created = await database.transaction(async (transaction) => {
        const inserted = await insertNamespace(transaction, values, new Date(clock.now()));
        // What was written to an earlier namespace of this name while that was deleted must not come back.
        if (inserted) for (const purge of options.purgers) await purge(transaction, name);
        return inserted;
      });
      if (created === undefined) throw namespaceExists(name);
      changes.publish({ kind: "namespace", name });
      return created;
    },

    async get(name) {
      const namespace = await getNamespace(database, name);
      if (namespace === undefined) throw notFound("namespace", name);
      return namespace;
    },

    async list({ pageSize, pageToken }, principal) {
      const tokens = createPageTokens(PageToken, ["namespaces.list"]);
      const [after] = tokens.decode(pageToken) ?? [""];
      const seesAll = isPermitted(principal, "namespaces.read", GATEWAY_SCOPE);
      const visible = [...principal.grants.keys()].filter((name) => isPermitted(principal, "namespaces.read", name));
      const found = await listNamespaces(database, seesAll ? undefined : visible, after, pageSize + 1);
      const namespaces = found.slice(0, pageSize);
      if (found.length <= pageSize) return { namespaces };
      return { namespaces, nextPageToken: tokens.encode([namespaces.at(-1)!.name]) };
    },

    async update(request, principal) {
      const updated = await database.transaction((transaction) => applyUpdate(transaction, request, principal));
      changes.publish({ kind: "namespace", name: updated.name });
      return updated;
    },

    async delete({ namespace, force }) {
      if (namespace === DEFAULT_NAMESPACE) throw defaultNamespaceStays();
      await database.transaction(async (transaction) => {
        if ((await lockNamespace(transaction, namespace, "UPDATE")) === undefined) {
          throw notFound("namespace", namespace);
        }
        if (force) for (const purge of options.purgers) await purge(transaction, namespace);
        else await refuseUnlessEmpty(transaction, namespace, options.emptinessChecks);
        await deleteNamespace(transaction, namespace);
      });
      changes.publish({ kind: "namespace", name: namespace });
      changes.publish({ kind: "grants", namespace });
      return { namespace };
    },

    async usage({ name, quotas }) {
      const parts = await Promise.all(options.usageSources.map((source) => source(name)));
      const used = addUp(parts);
      const of = (figure: number | undefined, limit: number | undefined) => ({
        used: figure ?? 0,
        ...(limit === undefined ? {} : { limit }),
      });
      return {
        namespace: name,
        workflows: of(used.workflows, quotas.maxWorkflows),
        concurrentExecutions: of(used.concurrentExecutions, quotas.maxConcurrentExecutions),
        queueDepth: of(used.queueDepth, quotas.maxQueueDepth),
        storageMb: of((used.storageBytes ?? 0) / BYTES_PER_MB, quotas.maxStorageMb),
        requestsPerMinute: of(used.requestsThisMinute, quotas.rateLimitPerMinute),
      };
    },
  };
}

function addUp(parts: readonly Partial<UsageFigures>[]): Partial<UsageFigures> {
  const sum: Partial<Record<string, number>> = {};
  for (const part of parts) {
    for (const [figure, value] of Object.entries(part)) sum[figure] = (sum[figure] ?? 0) + value;
  }
  return sum;
}

async function refuseUnlessEmpty(
  transaction: Queryable,
  namespace: string,
  checks: readonly EmptinessCheck[],
): Promise<void> {
  const held: string[] = [];
  for (const check of checks) held.push(...(await check(transaction, namespace)));
  if (held.length === 0) return;
  throw new AppError(
    "FAILED_PRECONDITION",
    "NAMESPACE_NOT_EMPTY",
    `Namespace "${namespace}" still holds ${held.join(", ")}. Remove them first, or delete it with force, which deletes everything in it for good.`,
  );
}

async function refuseForeignBindings(transaction: Queryable, namespace: string): Promise<void> {
  const foreign = await listForeignBindings(transaction, namespace, MAX_BINDINGS_NAMED + 1);
  if (foreign.length === 0) return;
  const named = foreign
    .slice(0, MAX_BINDINGS_NAMED)
    .map((one) => `${one.principalId} in ${one.namespace ?? "the whole gateway"}`);
  const more = foreign.length > MAX_BINDINGS_NAMED ? " and more" : "";
  throw new AppError(
    "FAILED_PRECONDITION",
    "NAMESPACE_SHARED",
    `Namespace "${namespace}" cannot be STRICT while it is shared through these bindings: ${named.join("; ")}${more}. Delete them first.`,
    { details: { metadata: { bindings: named.join("; ") } } },
  );
}

function namespaceExists(name: string): AppError {
  return new AppError(
    "ALREADY_EXISTS",
    "NAMESPACE_EXISTS",
    `There is a namespace "${name}" already. Choose another name.`,
  );
}

function revisionMismatch(current: Namespace): AppError {
  return new AppError(
    "ABORTED",
    "REVISION_MISMATCH",
    `Namespace "${current.name}" has been changed since you read it: it is at revision ${current.revision}. Read it again and repeat the change.`,
    { details: { metadata: { revision: String(current.revision) } } },
  );
}

function defaultNamespaceStays(): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "DEFAULT_NAMESPACE",
    `The namespace "${DEFAULT_NAMESPACE}" belongs to every gateway and cannot be deleted.`,
  );
}
