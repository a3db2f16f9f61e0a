import { z } from "zod";
import type { Clock } from "../../../core/clock.ts";
import { notFound } from "../../../core/errors.ts";
import { canonicalJson } from "../../../core/json.ts";
import { createPageTokens } from "../../../core/page.ts";
import type { Principal } from "../../../core/principal.ts";
import type { Database, Queryable } from "../../../platform/postgres/database.ts";
import type { NamespaceDirectory } from "../../tenancy/index.ts";
import { changedTags } from "./changed-tags.ts";
import type { DefinitionChanges } from "./definition-changes.ts";
import { nameTaken, revisionMismatch, tooManyVersions } from "./definition-errors.ts";
import { replaceSearchEntries } from "./search-store.ts";
import { deleteSharesOf } from "./share-store.ts";
import { type ParsedMembers, parseMembers, resolveMembers } from "./view-columns.ts";
import type {
  CreateFeatureViewRequest,
  FeatureView,
  ListFeatureViewsRequest,
  UpdateFeatureViewRequest,
} from "./view-model.ts";
import {
  deleteView,
  getView,
  getViewVersions,
  insertView,
  insertViewVersion,
  listViews,
  listViewVersions,
  lockView,
  type NewViewVersion,
  type StoredView,
  type StoredViewVersion,
  updateView,
} from "./view-store.ts";

export interface ViewName {
  readonly namespace: string;
  readonly view: string;
}

/** Feature views and their versions. */
export interface ViewService {
  create(request: CreateFeatureViewRequest, principal: Principal): Promise<FeatureView>;
  /** A version of a view; the newest where none is named. */
  get(name: ViewName & { readonly version?: number | undefined }): Promise<FeatureView>;
  list(request: ListFeatureViewsRequest): Promise<{ featureViews: FeatureView[]; nextPageToken?: string }>;
  update(request: UpdateFeatureViewRequest, principal: Principal): Promise<FeatureView>;
  delete(name: ViewName): Promise<void>;
  /** Those of these versions that are there. */
  getVersions(
    namespace: string,
    wanted: readonly { readonly view: string; readonly version: number }[],
  ): Promise<FeatureView[]>;
  /** The newest versions of each of these views, newest first, at most `limit` of each. */
  listVersionsOfMany(namespace: string, views: readonly string[], limit: number): Promise<FeatureView[]>;
}

export interface ViewServiceOptions {
  readonly database: Database;
  readonly directory: NamespaceDirectory;
  readonly clock: Clock;
  readonly changes: DefinitionChanges;
}

const AfterName = z.tuple([z.string().max(63)]);
/** Versions are kept for good: models may be pinned to them. */
const MAX_VERSIONS = 10_000;

export function createViewService({ database, directory, clock, changes }: ViewServiceOptions): ViewService {
  const now = () => new Date(clock.now());

  const create = async (
    transaction: Queryable,
    { namespace, view, description, owner, tags }: CreateFeatureViewRequest,
    parsed: ParsedMembers,
    createdBy: string,
  ) => {
    const texts = { description, owner, tags: [...new Set(tags)] };
    const viewId = await insertView(transaction, namespace, view, texts, now());
    if (viewId === undefined) throw nameTaken("feature view", view);
    const columns = await resolveMembers(transaction, parsed);
    const version = { viewId, namespace, view, version: 1, columns, createdBy, createdAt: now() };
    await insertViewVersion(transaction, version);
    return refreshSearch(transaction, namespace, view);
  };

  const update = async (
    transaction: Queryable,
    request: UpdateFeatureViewRequest,
    parsed: ParsedMembers | undefined,
    createdBy: string,
  ) => {
    const { namespace, view, revision } = request;
    const stored = await lockView(transaction, namespace, view);
    if (stored === undefined) throw notFound("feature view", view);
    if (revision !== undefined && revision !== stored.revision) {
      throw revisionMismatch("feature view", view, stored.revision);
    }
    const version = parsed
      ? await addVersion(transaction, stored, parsed, { createdBy, createdAt: now() })
      : stored.currentVersion;
    const { description = stored.description, owner = stored.owner } = request;
    const texts = { description, owner, tags: changedTags(stored.tags, request) };
    await updateView(transaction, stored.viewId, texts, version, now());
    return refreshSearch(transaction, namespace, view);
  };

  return {
    async create(request, { id }) {
      const { namespace, view, features } = request;
      const parsed = await parseMembers(directory, namespace, features);
      const created = await database.transaction((transaction) => create(transaction, request, parsed, id));
      changes.publish({ kind: "VIEW", namespace, name: view });
      return describeView(created);
    },

    async get({ namespace, view, version }) {
      const stored = await getView(database, namespace, view, version);
      if (stored !== undefined) return describeView(stored);
      const isThere = version !== undefined && (await getView(database, namespace, view)) !== undefined;
      throw isThere ? notFound("feature view version", `${view}@v${version}`) : notFound("feature view", view);
    },

    async list({ namespace, pageSize, pageToken }) {
      const tokens = createPageTokens(AfterName, ["featureViews.list", namespace]);
      const [after] = tokens.decode(pageToken) ?? [""];
      const found = await listViews(database, namespace, after, pageSize + 1);
      const featureViews = found.slice(0, pageSize).map(describeView);
      if (found.length <= pageSize) return { featureViews };
      return { featureViews, nextPageToken: tokens.encode([featureViews.at(-1)!.view]) };
    },

    async update(request, { id }) {
      const { namespace, view, features } = request;
      const parsed = features && (await parseMembers(directory, namespace, features));
      const updated = await database.transaction((transaction) => update(transaction, request, parsed, id));
      changes.publish({ kind: "VIEW", namespace, name: view });
      return describeView(updated);
    },

    async delete({ namespace, view }) {
      const receivers = await database.transaction(async (transaction) => {
        const stored = await lockView(transaction, namespace, view);
        if (stored === undefined) throw notFound("feature view", view);
        const shared = await deleteSharesOf(transaction, namespace, "VIEW", view);
        await replaceSearchEntries(transaction, namespace, "VIEW", view, []);
        await deleteView(transaction, stored.viewId);
        return shared;
      });
      changes.publish({ kind: "VIEW", namespace, name: view });
      for (const withNamespace of receivers) {
        changes.publish({ kind: "SHARE", namespace, resourceType: "VIEW", resource: view, withNamespace });
      }
    },

    getVersions: async (namespace, wanted) => (await getViewVersions(database, namespace, wanted)).map(describeView),

    listVersionsOfMany: async (namespace, views, limit) =>
      (await listViewVersions(database, namespace, views, limit)).map(describeView),
  };
}

/** Adds a version where the features are others than before, and answers the number of the newest one. */
async function addVersion(
  transaction: Queryable,
  { viewId, namespace, name, currentVersion }: StoredView,
  parsed: ParsedMembers,
  made: Pick<NewViewVersion, "createdBy" | "createdAt">,
): Promise<number> {
  const columns = await resolveMembers(transaction, parsed);
  const newest = await getView(transaction, namespace, name);
  if (canonicalJson(columns) === canonicalJson(newest!.columns)) return currentVersion;
  if (currentVersion >= MAX_VERSIONS) throw tooManyVersions("feature view", name, MAX_VERSIONS);
  const version = currentVersion + 1;
  await insertViewVersion(transaction, { viewId, namespace, view: name, version, columns, ...made });
  return version;
}

/** Makes searches find the view as it is now, and answers that. */
async function refreshSearch(transaction: Queryable, namespace: string, view: string): Promise<StoredViewVersion> {
  const current = (await getView(transaction, namespace, view))!;
  const { version, description, owner, tags } = current;
  await replaceSearchEntries(transaction, namespace, "VIEW", view, [
    { feature: "", version, description, owner, tags },
  ]);
  return current;
}

function describeView(stored: StoredViewVersion): FeatureView {
  return {
    namespace: stored.namespace,
    view: stored.name,
    version: stored.version,
    currentVersion: stored.currentVersion,
    description: stored.description,
    owner: stored.owner,
    tags: stored.tags,
    columns: stored.columns.map(({ groupId: _, ...column }) => column),
    revision: stored.revision,
    createdAt: stored.versionCreatedAt.toISOString(),
    updatedAt: stored.updatedAt.toISOString(),
  };
}
