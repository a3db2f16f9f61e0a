import type { Queryable } from "../../../platform/postgres/database.ts";
import type { GroupSchema } from "./group-model.ts";
import type { FeatureViewColumn } from "./view-model.ts";

/** A column of a view, with the group that it meant: another of the same name is not it. */
export interface StoredColumn extends FeatureViewColumn {
  readonly groupId: number;
}

export interface StoredView {
  readonly viewId: number;
  readonly namespace: string;
  readonly name: string;
  readonly description: string;
  readonly owner: string;
  readonly tags: string[];
  readonly currentVersion: number;
  readonly revision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A view with one of its versions. */
export interface StoredViewVersion extends StoredView {
  readonly version: number;
  readonly columns: StoredColumn[];
  readonly versionCreatedAt: Date;
}

const VIEW = `
  v.view_id AS "viewId", v.namespace, v.name, v.description, v.owner, v.tags, v.current_version AS "currentVersion",
  v.revision, v.created_at AS "createdAt", v.updated_at AS "updatedAt"`;
const VERSION = `w.version, w.features AS columns, w.created_at AS "versionCreatedAt"`;

const GET = `
  SELECT ${VIEW}, ${VERSION} FROM feature_views v
    JOIN feature_view_versions w ON w.view_id = v.view_id AND w.version = coalesce($3::integer, v.current_version)
   WHERE v.namespace = $1 AND v.name = $2`;

/** A version of a view, or its newest where `version` is undefined. */
export async function getView(database: Queryable, namespace: string, name: string, version?: number) {
  return (await database.query<StoredViewVersion>(GET, [namespace, name, version ?? null])).rows[0];
}

const GET_MANY = `
  SELECT ${VIEW}, ${VERSION} FROM feature_views v
    JOIN unnest($2::text[], $3::integer[]) AS wanted (name, version) ON wanted.name = v.name
    JOIN feature_view_versions w ON w.view_id = v.view_id AND w.version = wanted.version
   WHERE v.namespace = $1`;

/** Those of these versions of views that are there. */
export async function getViewVersions(
  database: Queryable,
  namespace: string,
  wanted: readonly { readonly view: string; readonly version: number }[],
) {
  const values = [namespace, wanted.map(({ view }) => view), wanted.map(({ version }) => version)];
  return (await database.query<StoredViewVersion>(GET_MANY, values)).rows;
}

const LIST = `
  SELECT ${VIEW}, ${VERSION} FROM feature_views v
    JOIN feature_view_versions w ON w.view_id = v.view_id AND w.version = v.current_version
   WHERE v.namespace = $1 AND v.name > $2 ORDER BY v.name LIMIT $3`;

/** Views by name, from after `afterName`, each in its newest version. */
export async function listViews(database: Queryable, namespace: string, afterName: string, limit: number) {
  return (await database.query<StoredViewVersion>(LIST, [namespace, afterName, limit])).rows;
}

const LIST_VERSIONS = `
  SELECT ${VIEW}, w.* FROM feature_views v
   CROSS JOIN LATERAL (
     SELECT ${VERSION} FROM feature_view_versions w WHERE w.view_id = v.view_id ORDER BY w.version DESC LIMIT $3
   ) w
   WHERE v.namespace = $1 AND v.name = ANY ($2::text[])
   ORDER BY v.name, w.version DESC`;

/** The newest versions of each of these views, newest first, at most `limit` of each. */
export async function listViewVersions(
  database: Queryable,
  namespace: string,
  names: readonly string[],
  limit: number,
) {
  return (await database.query<StoredViewVersion>(LIST_VERSIONS, [namespace, names, limit])).rows;
}

const LOCK = `SELECT ${VIEW} FROM feature_views v WHERE v.namespace = $1 AND v.name = $2 FOR UPDATE`;

/** The view, which nobody changes or deletes until the transaction ends. */
export async function lockView(transaction: Queryable, namespace: string, name: string) {
  return (await transaction.query<StoredView>(LOCK, [namespace, name])).rows[0];
}

const INSERT = `
  INSERT INTO feature_views AS v
    (namespace, name, description, owner, tags, current_version, revision, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5::text[], 1, 1, $6, $6) ON CONFLICT DO NOTHING RETURNING v.view_id AS "viewId"`;

export interface ViewTexts {
  readonly description: string;
  readonly owner: string;
  readonly tags: readonly string[];
}

/** Answers the new view's id, or undefined where the name is taken. */
export async function insertView(
  transaction: Queryable,
  namespace: string,
  name: string,
  { description, owner, tags }: ViewTexts,
  now: Date,
): Promise<number | undefined> {
  const values = [namespace, name, description, owner, tags, now];
  return (await transaction.query<{ viewId: number }>(INSERT, values)).rows[0]?.viewId;
}

const UPDATE = `
  UPDATE feature_views
     SET description = $2, owner = $3, tags = $4::text[], current_version = $5, revision = revision + 1, updated_at = $6
   WHERE view_id = $1`;

export async function updateView(
  transaction: Queryable,
  viewId: number,
  { description, owner, tags }: ViewTexts,
  currentVersion: number,
  now: Date,
): Promise<void> {
  await transaction.query(UPDATE, [viewId, description, owner, tags, currentVersion, now]);
}

/** Its versions go with it. */
export async function deleteView(transaction: Queryable, viewId: number): Promise<void> {
  await transaction.query("DELETE FROM feature_views WHERE view_id = $1", [viewId]);
}

const INSERT_VERSION = `
  INSERT INTO feature_view_versions (view_id, version, features, created_by, created_at)
  VALUES ($1, $2, $3::jsonb, $4, $5)`;
const INSERT_SOURCES = `
  INSERT INTO feature_view_sources (group_id, namespace, view_name, view_version, group_version, view_id)
  SELECT DISTINCT source.group_id, $1, $2, $3::integer, source.version, $4::bigint
    FROM unnest($5::bigint[], $6::integer[]) AS source (group_id, version)`;

export interface NewViewVersion {
  readonly viewId: number;
  readonly namespace: string;
  readonly view: string;
  readonly version: number;
  readonly columns: readonly StoredColumn[];
  readonly createdBy: string;
  readonly createdAt: Date;
}

/** Adds a version, and notes which versions of groups it reads. */
export async function insertViewVersion(transaction: Queryable, added: NewViewVersion): Promise<void> {
  const { viewId, namespace, view, version, columns, createdBy, createdAt } = added;
  await transaction.query(INSERT_VERSION, [viewId, version, JSON.stringify(columns), createdBy, createdAt]);
  const groups = columns.map(({ groupId }) => groupId);
  const versions = columns.map((column) => column.version);
  await transaction.query(INSERT_SOURCES, [namespace, view, version, viewId, groups, versions]);
}

/** A version of a group, as far as a view needs to know it. */
export interface SourceVersion {
  readonly groupId: number;
  readonly namespace: string;
  readonly name: string;
  readonly currentVersion: number;
  readonly version: number;
  readonly definition: GroupSchema;
}

const LOCK_SOURCES = `
  SELECT g.group_id AS "groupId", g.namespace, g.name, g.current_version AS "currentVersion"
    FROM feature_groups g
    JOIN unnest($1::text[], $2::text[]) AS wanted (namespace, name)
      ON wanted.namespace = g.namespace AND wanted.name = g.name
   ORDER BY g.group_id FOR KEY SHARE OF g`;
const SOURCE_VERSIONS = `
  SELECT g.group_id AS "groupId", g.namespace, g.name, g.current_version AS "currentVersion", v.version, v.definition
    FROM feature_groups g
    JOIN unnest($1::bigint[], $2::integer[]) AS wanted (group_id, version) ON wanted.group_id = g.group_id
    JOIN feature_group_versions v ON v.group_id = g.group_id AND v.version = coalesce(wanted.version, g.current_version)`;

export interface WantedSource {
  readonly namespace: string;
  readonly name: string;
  /** The current one where undefined. */
  readonly version: number | undefined;
}

/** Those of the wanted versions of groups that are there; their groups stay until the transaction ends. */
export async function lockSources(transaction: Queryable, wanted: readonly WantedSource[]): Promise<SourceVersion[]> {
  const names = new Map(wanted.map((source) => [`${source.namespace}/${source.name}`, source]));
  const { rows: groups } = await transaction.query<{ groupId: number; namespace: string; name: string }>(LOCK_SOURCES, [
    [...names.values()].map(({ namespace }) => namespace),
    [...names.values()].map(({ name }) => name),
  ]);
  const ids = new Map(groups.map(({ groupId, namespace, name }) => [`${namespace}/${name}`, groupId]));
  const found = wanted.flatMap(({ namespace, name, version }) => {
    const groupId = ids.get(`${namespace}/${name}`);
    return groupId === undefined ? [] : { groupId, version: version ?? null };
  });
  const values = [found.map(({ groupId }) => groupId), found.map(({ version }) => version)];
  return (await transaction.query<SourceVersion>(SOURCE_VERSIONS, values)).rows;
}
