import { canonicalJson } from "../../../core/json.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import { appendFeatures, incompatibilities, shapeOf } from "./compatibility.ts";
import { schemaIncompatible, tooManyVersions } from "./definition-errors.ts";
import type { GroupSchema } from "./group-model.ts";
import {
  getDataset,
  getVersions,
  insertDataset,
  insertVersion,
  type StoredGroup,
  type StoredVersion,
  setDatasetFeatures,
  setPromoted,
  updateGroupVersions,
} from "./group-store.ts";

/** Versions are kept for good: models may be pinned to them. */
const MAX_VERSIONS = 10_000;

export interface VersionToAdd {
  readonly schema: GroupSchema;
  readonly allowIncompatible: boolean;
  readonly stage: boolean;
  readonly createdBy: string;
}

/** The first version of a new group, with a dataset of its own. */
export async function addFirstVersion(
  transaction: Queryable,
  group: Pick<StoredGroup, "groupId" | "namespace" | "name">,
  schema: GroupSchema,
  createdBy: string,
  now: Date,
): Promise<void> {
  const datasetId = await addDataset(transaction, group, 1, schema);
  const version = { groupId: group.groupId, version: 1, datasetId, definition: schema };
  await insertVersion(transaction, { ...version, createdBy, createdAt: now, promotedAt: now });
}

/**
 * Adds a version to a group that is locked, and answers its number: that of the version which is
 * there already where the schema changes nothing.
 */
export async function addVersion(
  transaction: Queryable,
  group: StoredGroup,
  { schema, allowIncompatible, stage, createdBy }: VersionToAdd,
  now: Date,
): Promise<number> {
  const { groupId, namespace, name, currentVersion, stagedVersion } = group;
  const known = await getVersions(transaction, namespace, name, [currentVersion, stagedVersion ?? currentVersion]);
  const current = known.find(({ version }) => version === currentVersion)!;
  const same = known.find(
    ({ version, definition }) =>
      (version === currentVersion || stage) && canonicalJson(definition) === canonicalJson(schema),
  );
  if (same) return same.version;
  if (group.lastVersion >= MAX_VERSIONS) throw tooManyVersions("feature group", name, MAX_VERSIONS);
  const version = group.lastVersion + 1;
  const datasetId =
    (await joinDataset(transaction, name, current, schema, allowIncompatible)) ??
    (await addDataset(transaction, group, version, schema));
  const promotedAt = stage ? null : now;
  await insertVersion(transaction, {
    groupId,
    version,
    datasetId,
    definition: schema,
    createdBy,
    createdAt: now,
    promotedAt,
  });
  const versions = stage
    ? { current: currentVersion, staged: version, last: version }
    : { current: version, staged: stagedVersion, last: version };
  await updateGroupVersions(transaction, groupId, versions, now);
  return version;
}

/** Makes a version current that is there; the group is locked. */
export async function promoteVersion(
  transaction: Queryable,
  { groupId, currentVersion, stagedVersion, lastVersion }: StoredGroup,
  version: number,
  now: Date,
): Promise<void> {
  if (version === currentVersion) return;
  const staged = stagedVersion === version ? null : stagedVersion;
  await setPromoted(transaction, groupId, version, now);
  await updateGroupVersions(transaction, groupId, { current: version, staged, last: lastVersion }, now);
}

/** The current version's dataset, with the new features appended; undefined where the schema needs one of its own. */
async function joinDataset(
  transaction: Queryable,
  group: string,
  current: StoredVersion,
  schema: GroupSchema,
  allowIncompatible: boolean,
): Promise<number | undefined> {
  const dataset = await getDataset(transaction, current.datasetId);
  const reasons = incompatibilities(dataset, current.definition, schema);
  if (reasons.length > 0 && allowIncompatible) return undefined;
  if (reasons.length > 0) throw schemaIncompatible(group, reasons);
  const features = appendFeatures(dataset.features, schema.features);
  if (features.length > dataset.features.length) await setDatasetFeatures(transaction, dataset.datasetId, features);
  return dataset.datasetId;
}

function addDataset(
  transaction: Queryable,
  { groupId, namespace, name }: Pick<StoredGroup, "groupId" | "namespace" | "name">,
  firstVersion: number,
  { entityKeys, features }: GroupSchema,
): Promise<number> {
  return insertDataset(transaction, {
    namespace,
    groupId,
    group: name,
    firstVersion,
    entityKeys: entityKeys.map((key) => ({ name: key.name, type: key.type })),
    features: features.map(shapeOf),
  });
}
