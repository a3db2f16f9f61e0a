import { z } from "zod";
import type { Clock } from "../../../core/clock.ts";
import { invalidArgument, notFound } from "../../../core/errors.ts";
import { createPageTokens } from "../../../core/page.ts";
import type { Principal } from "../../../core/principal.ts";
import type { Database, Queryable } from "../../../platform/postgres/database.ts";
import { changedTags } from "./changed-tags.ts";
import { schemaProblems } from "./check-schema.ts";
import type { DefinitionChanges } from "./definition-changes.ts";
import { groupInUse, nameTaken, revisionMismatch } from "./definition-errors.ts";
import { describeGroup, describeVersion, searchEntriesOf } from "./describe-group.ts";
import type {
  CreateFeatureGroupRequest,
  CreateFeatureGroupVersionRequest,
  FeatureGroup,
  FeatureGroupVersion,
  GroupSchema,
  ListFeatureGroupsRequest,
  ListFeatureGroupVersionsRequest,
  PromoteFeatureGroupVersionRequest,
  UpdateFeatureGroupRequest,
} from "./group-model.ts";
import {
  deleteGroup,
  getGroups,
  getVersions,
  insertGroup,
  listGroups,
  listUses,
  listVersions,
  lockGroup,
  type StoredGroup,
  type StoredGroupVersion,
  type StoredUse,
  type UsePlace,
  updateGroupTexts,
} from "./group-store.ts";
import { addFirstVersion, addVersion, promoteVersion } from "./group-versions.ts";
import { replaceSearchEntries } from "./search-store.ts";
import { deleteSharesOf } from "./share-store.ts";
import type { FeatureGroupUse, ListFeatureGroupUsesRequest } from "./view-model.ts";

export interface GroupName {
  readonly namespace: string;
  readonly group: string;
}

export interface GroupAndVersion {
  readonly featureGroup: FeatureGroup;
  readonly version: FeatureGroupVersion;
}

/** Feature groups and the versions of their schemas. */
export interface GroupService {
  create(request: CreateFeatureGroupRequest, principal: Principal): Promise<FeatureGroup>;
  get(name: GroupName): Promise<FeatureGroup>;
  /** Those of these groups that are there. */
  getMany(namespace: string, groups: readonly string[]): Promise<FeatureGroup[]>;
  list(request: ListFeatureGroupsRequest): Promise<{ featureGroups: FeatureGroup[]; nextPageToken?: string }>;
  update(request: UpdateFeatureGroupRequest): Promise<FeatureGroup>;
  delete(name: GroupName): Promise<void>;
  createVersion(request: CreateFeatureGroupVersionRequest, principal: Principal): Promise<GroupAndVersion>;
  getVersion(name: GroupName, version: number): Promise<FeatureGroupVersion>;
  listVersions(
    request: ListFeatureGroupVersionsRequest,
  ): Promise<{ versions: FeatureGroupVersion[]; nextPageToken?: string }>;
  /** The newest versions of each of these groups, newest first, at most `limit` of each. */
  listVersionsOfMany(namespace: string, groups: readonly string[], limit: number): Promise<FeatureGroupVersion[]>;
  promote(request: PromoteFeatureGroupVersionRequest): Promise<GroupAndVersion>;
  listUses(request: ListFeatureGroupUsesRequest): Promise<{ uses: FeatureGroupUse[]; nextPageToken?: string }>;
  /** Uses of each of these groups, at most `limit` of each. */
  listUsesOfMany(namespace: string, groups: readonly string[], limit: number): Promise<StoredUse[]>;
}

export interface GroupServiceOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly changes: DefinitionChanges;
}

const AfterName = z.tuple([z.string().max(63)]);
const BelowVersion = z.tuple([z.int32()]);
const AfterUse = z.tuple([z.string().max(63), z.string().max(63), z.int32(), z.int32()]);
const FIRST_USE: UsePlace = ["", "", 0, 0];
const ABOVE_ALL_VERSIONS = 2 ** 31 - 1;
/** Uses that a refusal names. */
const MAX_USES_NAMED = 10;

export function createGroupService({ database, clock, changes }: GroupServiceOptions): GroupService {
  const now = () => new Date(clock.now());

  /** Does `work` on the group while nobody else can change it, and answers the group as it is then. */
  async function change<Extra>(
    { namespace, group, revision }: GroupName & { readonly revision?: number | undefined },
    work: (transaction: Queryable, stored: StoredGroup) => Promise<Extra>,
  ): Promise<readonly [current: StoredGroupVersion, extra: Extra]> {
    const done = await database.transaction(async (transaction) => {
      const stored = await lockGroup(transaction, namespace, group);
      if (stored === undefined) throw notFound("feature group", group);
      if (revision !== undefined && revision !== stored.revision) {
        throw revisionMismatch("feature group", group, stored.revision);
      }
      const extra = await work(transaction, stored);
      return [await refreshSearch(transaction, namespace, group), extra] as const;
    });
    changes.publish({ kind: "GROUP", namespace, name: group });
    return done;
  }

  const readVersion = async ({ namespace, group }: GroupName, version: number, queryable: Queryable = database) => {
    const [stored] = await getVersions(queryable, namespace, group, [version]);
    if (stored !== undefined) return describeVersion(stored);
    const [known] = await getGroups(queryable, namespace, [group]);
    throw known ? notFound("feature group version", `${group}@v${version}`) : notFound("feature group", group);
  };

  const get = async ({ namespace, group }: GroupName) => {
    const [stored] = await getGroups(database, namespace, [group]);
    if (stored === undefined) throw notFound("feature group", group);
    return describeGroup(stored);
  };

  return {
    async create(request, principal) {
      const { namespace, group, description, owner, tags } = request;
      const schema = checkedSchema(request);
      const created = await database.transaction(async (transaction) => {
        const texts = { description, owner, tags: [...new Set(tags)] };
        const groupId = await insertGroup(transaction, namespace, group, texts, now());
        if (groupId === undefined) throw nameTaken("feature group", group);
        await addFirstVersion(transaction, { groupId, namespace, name: group }, schema, principal.id, now());
        return refreshSearch(transaction, namespace, group);
      });
      changes.publish({ kind: "GROUP", namespace, name: group });
      return describeGroup(created);
    },

    get,

    getMany: async (namespace, groups) => (await getGroups(database, namespace, groups)).map(describeGroup),

    async list({ namespace, pageSize, pageToken }) {
      const tokens = createPageTokens(AfterName, ["featureGroups.list", namespace]);
      const [after] = tokens.decode(pageToken) ?? [""];
      const found = await listGroups(database, namespace, after, pageSize + 1);
      const featureGroups = found.slice(0, pageSize).map(describeGroup);
      if (found.length <= pageSize) return { featureGroups };
      return { featureGroups, nextPageToken: tokens.encode([featureGroups.at(-1)!.group]) };
    },

    async update(request) {
      const [current] = await change(request, (transaction, stored) => {
        const { description = stored.description, owner = stored.owner } = request;
        const tags = changedTags(stored.tags, request);
        return updateGroupTexts(transaction, stored.groupId, { description, owner, tags }, now());
      });
      return describeGroup(current);
    },

    async delete({ namespace, group }) {
      const receivers = await database.transaction(async (transaction) => {
        const stored = await lockGroup(transaction, namespace, group);
        if (stored === undefined) throw notFound("feature group", group);
        await refuseInUse(transaction, namespace, group);
        const shared = await deleteSharesOf(transaction, namespace, "GROUP", group);
        await replaceSearchEntries(transaction, namespace, "GROUP", group, []);
        await deleteGroup(transaction, stored.groupId);
        return shared;
      });
      changes.publish({ kind: "GROUP", namespace, name: group });
      for (const withNamespace of receivers) {
        changes.publish({ kind: "SHARE", namespace, resourceType: "GROUP", resource: group, withNamespace });
      }
    },

    async createVersion(request, principal) {
      const schema = checkedSchema(request);
      const { allowIncompatible, stage } = request;
      const added = { schema, allowIncompatible, stage, createdBy: principal.id };
      const [current, version] = await change(request, async (transaction, stored) => {
        const number = await addVersion(transaction, stored, added, now());
        return readVersion(request, number, transaction);
      });
      return { featureGroup: describeGroup(current), version };
    },

    getVersion: (name, version) => readVersion(name, version),

    async listVersions({ namespace, group, pageSize, pageToken }) {
      const tokens = createPageTokens(BelowVersion, ["featureGroups.listVersions", namespace, group]);
      const [below] = tokens.decode(pageToken) ?? [ABOVE_ALL_VERSIONS];
      const found = await listVersions(database, namespace, [group], below, pageSize + 1);
      if (found.length === 0) await get({ namespace, group });
      const versions = found.slice(0, pageSize).map(describeVersion);
      if (found.length <= pageSize) return { versions };
      return { versions, nextPageToken: tokens.encode([versions.at(-1)!.version]) };
    },

    listVersionsOfMany: async (namespace, groups, limit) =>
      (await listVersions(database, namespace, groups, ABOVE_ALL_VERSIONS, limit)).map(describeVersion),

    async promote(request) {
      const [current, version] = await change(request, async (transaction, stored) => {
        await readVersion(request, request.version, transaction);
        await promoteVersion(transaction, stored, request.version, now());
        return readVersion(request, request.version, transaction);
      });
      return { featureGroup: describeGroup(current), version };
    },

    async listUses({ namespace, group, pageSize, pageToken }) {
      const tokens = createPageTokens(AfterUse, ["featureGroups.listUses", namespace, group]);
      const place = tokens.decode(pageToken) ?? FIRST_USE;
      const found = await listUses(database, namespace, [group], place, pageSize + 1);
      if (found.length === 0) await get({ namespace, group });
      const uses = found.slice(0, pageSize).map(withoutGroup);
      if (found.length <= pageSize) return { uses };
      const last = uses.at(-1)!;
      return {
        uses,
        nextPageToken: tokens.encode([last.namespace, last.view, last.viewVersion, last.groupVersion]),
      };
    },

    listUsesOfMany: (namespace, groups, limit) => listUses(database, namespace, groups, FIRST_USE, limit),
  };
}

/** What a request says of rows, in the form it is kept in; refused with everything that is wrong with it. */
function checkedSchema(request: GroupSchema): GroupSchema {
  const { entityKeys, features, ttlMs, online, offline, validation, freshness } = request;
  const ttl = ttlMs === undefined ? {} : { ttlMs };
  const schema: GroupSchema = { entityKeys, features, ...ttl, online, offline, validation, freshness };
  const problems = schemaProblems(schema);
  if (problems.length > 0) throw invalidArgument(problems);
  return schema;
}

/** Makes searches find the group as it is now, and answers that. */
async function refreshSearch(transaction: Queryable, namespace: string, group: string): Promise<StoredGroupVersion> {
  const current = (await getGroups(transaction, namespace, [group]))[0]!;
  await replaceSearchEntries(transaction, namespace, "GROUP", group, searchEntriesOf(current));
  return current;
}

async function refuseInUse(transaction: Queryable, namespace: string, group: string): Promise<void> {
  const uses = await listUses(transaction, namespace, [group], FIRST_USE, MAX_USES_NAMED + 1);
  if (uses.length === 0) return;
  const named = uses.slice(0, MAX_USES_NAMED).map((use) => `${use.namespace}/${use.view}@v${use.viewVersion}`);
  throw groupInUse(group, named, uses.length > MAX_USES_NAMED);
}

function withoutGroup({ group: _, ...use }: StoredUse): FeatureGroupUse {
  return use;
}
