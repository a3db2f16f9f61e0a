import type { Queryable } from "../../../platform/postgres/database.ts";
import type { EntityKeyShape } from "../values/entity-key.ts";
import type { FeatureShape } from "../values/feature-type.ts";
import type { GroupSchema } from "./group-model.ts";
import type { FeatureGroupUse } from "./view-model.ts";

/** A group as its row has it. */
export interface StoredGroup {
  readonly groupId: number;
  readonly namespace: string;
  readonly name: string;
  readonly description: string;
  readonly owner: string;
  readonly tags: string[];
  readonly currentVersion: number;
  readonly stagedVersion: number | null;
  readonly lastVersion: number;
  readonly revision: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A version of a group as its row has it. */
export interface StoredVersion {
  readonly version: number;
  readonly datasetId: number;
  /** The version that began its dataset. */
  readonly dataSince: number;
  readonly definition: GroupSchema;
  readonly versionCreatedBy: string;
  readonly versionCreatedAt: Date;
  readonly promotedAt: Date | null;
}

/** A group with one of its versions. */
export type StoredGroupVersion = StoredGroup & StoredVersion;

export interface StoredDataset {
  readonly datasetId: number;
  readonly entityKeys: EntityKeyShape[];
  readonly features: FeatureShape[];
}

const GROUP = `
  g.group_id AS "groupId", g.namespace, g.name, g.description, g.owner, g.tags, g.current_version AS "currentVersion",
  g.staged_version AS "stagedVersion", g.last_version AS "lastVersion", g.revision, g.created_at AS "createdAt",
  g.updated_at AS "updatedAt"`;
const VERSION = `
  v.version, v.dataset_id AS "datasetId", d.first_version AS "dataSince", v.definition, v.created_by AS "versionCreatedBy",
  v.created_at AS "versionCreatedAt", v.promoted_at AS "promotedAt"`;
const WITH_CURRENT = `
  SELECT ${GROUP}, ${VERSION} FROM feature_groups g
    JOIN feature_group_versions v ON v.group_id = g.group_id AND v.version = g.current_version
    JOIN feature_datasets d ON d.dataset_id = v.dataset_id`;

const GET_MANY = `${WITH_CURRENT} WHERE g.namespace = $1 AND g.name = ANY ($2::text[])`;

/** The groups of these names that are there, each with its current version. */
export async function getGroups(database: Queryable, namespace: string, names: readonly string[]) {
  return (await database.query<StoredGroupVersion>(GET_MANY, [namespace, names])).rows;
}

const LIST = `${WITH_CURRENT} WHERE g.namespace = $1 AND g.name > $2 ORDER BY g.name LIMIT $3`;

/** Groups by name, from after `afterName`, each with its current version. */
export async function listGroups(database: Queryable, namespace: string, afterName: string, limit: number) {
  return (await database.query<StoredGroupVersion>(LIST, [namespace, afterName, limit])).rows;
}

const LOCK = `SELECT ${GROUP} FROM feature_groups g WHERE g.namespace = $1 AND g.name = $2 FOR UPDATE`;

/** The group, which nobody changes, deletes or begins to read in a view until the transaction ends. */
export async function lockGroup(transaction: Queryable, namespace: string, name: string) {
  return (await transaction.query<StoredGroup>(LOCK, [namespace, name])).rows[0];
}

const INSERT = `
  INSERT INTO feature_groups AS g
    (namespace, name, description, owner, tags, current_version, last_version, revision, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5::text[], 1, 1, 1, $6, $6) ON CONFLICT DO NOTHING RETURNING g.group_id AS "groupId"`;

export interface GroupTexts {
  readonly description: string;
  readonly owner: string;
  readonly tags: readonly string[];
}

/** Answers the new group's id, or undefined where the name is taken. */
export async function insertGroup(
  transaction: Queryable,
  namespace: string,
  name: string,
  { description, owner, tags }: GroupTexts,
  now: Date,
): Promise<number | undefined> {
  const values = [namespace, name, description, owner, tags, now];
  return (await transaction.query<{ groupId: number }>(INSERT, values)).rows[0]?.groupId;
}

const UPDATE = `
  UPDATE feature_groups SET description = $2, owner = $3, tags = $4::text[], revision = revision + 1, updated_at = $5
   WHERE group_id = $1`;

export async function updateGroupTexts(transaction: Queryable, groupId: number, texts: GroupTexts, now: Date) {
  await transaction.query(UPDATE, [groupId, texts.description, texts.owner, texts.tags, now]);
}

const UPDATE_VERSIONS = `
  UPDATE feature_groups
     SET current_version = $2, staged_version = $3, last_version = $4, revision = revision + 1, updated_at = $5
   WHERE group_id = $1`;

export interface GroupVersions {
  readonly current: number;
  readonly staged: number | null;
  readonly last: number;
}

export async function updateGroupVersions(
  transaction: Queryable,
  groupId: number,
  { current, staged, last }: GroupVersions,
  now: Date,
) {
  await transaction.query(UPDATE_VERSIONS, [groupId, current, staged, last, now]);
}

/** Its versions go with it; its datasets stay behind without a group, so that their rows can be cleared away. */
export async function deleteGroup(transaction: Queryable, groupId: number): Promise<void> {
  await transaction.query("DELETE FROM feature_groups WHERE group_id = $1", [groupId]);
}

const GET_DATASET = `
  SELECT dataset_id AS "datasetId", entity_keys AS "entityKeys", features FROM feature_datasets WHERE dataset_id = $1`;

export async function getDataset(transaction: Queryable, datasetId: number): Promise<StoredDataset> {
  return (await transaction.query<StoredDataset>(GET_DATASET, [datasetId])).rows[0]!;
}

const INSERT_DATASET = `
  INSERT INTO feature_datasets (namespace, group_id, group_name, first_version, entity_keys, features)
  VALUES ($1, $2, $3, $4, $5::jsonb, $6::jsonb) RETURNING dataset_id AS "datasetId"`;

export interface NewDataset {
  readonly namespace: string;
  readonly groupId: number;
  readonly group: string;
  readonly firstVersion: number;
  readonly entityKeys: readonly EntityKeyShape[];
  readonly features: readonly FeatureShape[];
}

export async function insertDataset(transaction: Queryable, dataset: NewDataset): Promise<number> {
  const { rows } = await transaction.query<{ datasetId: number }>(INSERT_DATASET, [
    dataset.namespace,
    dataset.groupId,
    dataset.group,
    dataset.firstVersion,
    JSON.stringify(dataset.entityKeys),
    JSON.stringify(dataset.features),
  ]);
  return rows[0]!.datasetId;
}

export async function setDatasetFeatures(transaction: Queryable, datasetId: number, features: readonly FeatureShape[]) {
  await transaction.query("UPDATE feature_datasets SET features = $2::jsonb WHERE dataset_id = $1", [
    datasetId,
    JSON.stringify(features),
  ]);
}

const INSERT_VERSION = `
  INSERT INTO feature_group_versions (group_id, version, dataset_id, definition, created_by, created_at, promoted_at)
  VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7)`;

export interface NewVersion {
  readonly groupId: number;
  readonly version: number;
  readonly datasetId: number;
  readonly definition: GroupSchema;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly promotedAt: Date | null;
}

export async function insertVersion(transaction: Queryable, version: NewVersion): Promise<void> {
  await transaction.query(INSERT_VERSION, [
    version.groupId,
    version.version,
    version.datasetId,
    JSON.stringify(version.definition),
    version.createdBy,
    version.createdAt,
    version.promotedAt,
  ]);
}

export async function setPromoted(transaction: Queryable, groupId: number, version: number, now: Date): Promise<void> {
  await transaction.query("UPDATE feature_group_versions SET promoted_at = $3 WHERE group_id = $1 AND version = $2", [
    groupId,
    version,
    now,
  ]);
}

const GET_VERSIONS = `
  SELECT ${GROUP}, ${VERSION} FROM feature_groups g
    JOIN feature_group_versions v ON v.group_id = g.group_id AND v.version = ANY ($3::integer[])
    JOIN feature_datasets d ON d.dataset_id = v.dataset_id
   WHERE g.namespace = $1 AND g.name = $2`;

/** Those of these versions that are there. */
export async function getVersions(database: Queryable, namespace: string, name: string, versions: readonly number[]) {
  return (await database.query<StoredGroupVersion>(GET_VERSIONS, [namespace, name, versions])).rows;
}

const LIST_VERSIONS = `
  SELECT ${GROUP}, ${VERSION} FROM feature_groups g
   CROSS JOIN LATERAL (
     SELECT * FROM feature_group_versions w WHERE w.group_id = g.group_id AND w.version < $3
      ORDER BY w.version DESC LIMIT $4
   ) v
    JOIN feature_datasets d ON d.dataset_id = v.dataset_id
   WHERE g.namespace = $1 AND g.name = ANY ($2::text[])
   ORDER BY g.name, v.version DESC`;

/** The newest versions below `beforeVersion` of each of these groups, newest first, at most `limit` of each. */
export async function listVersions(
  database: Queryable,
  namespace: string,
  names: readonly string[],
  beforeVersion: number,
  limit: number,
) {
  return (await database.query<StoredGroupVersion>(LIST_VERSIONS, [namespace, names, beforeVersion, limit])).rows;
}

/** A use, and the group whose it is. */
export type StoredUse = FeatureGroupUse & { readonly group: string };
/** Where a page of uses begins: after this namespace, view, view version and group version. */
export type UsePlace = readonly [namespace: string, view: string, viewVersion: number, groupVersion: number];

const LIST_USES = `
  SELECT g.name AS "group", u.* FROM feature_groups g
   CROSS JOIN LATERAL (
     SELECT s.namespace, s.view_name AS view, s.view_version AS "viewVersion", s.group_version AS "groupVersion"
       FROM feature_view_sources s
      WHERE s.group_id = g.group_id
        AND (s.namespace, s.view_name, s.view_version, s.group_version) > ($3, $4, $5::integer, $6::integer)
      ORDER BY s.namespace, s.view_name, s.view_version, s.group_version LIMIT $7
   ) u
   WHERE g.namespace = $1 AND g.name = ANY ($2::text[])
   ORDER BY g.name, u.namespace, u.view, u."viewVersion", u."groupVersion"`;

/** View versions that read these groups, at most `limit` of each group, after `place`. */
export async function listUses(
  database: Queryable,
  namespace: string,
  groups: readonly string[],
  place: UsePlace,
  limit: number,
) {
  return (await database.query<StoredUse>(LIST_USES, [namespace, groups, ...place, limit])).rows;
}
