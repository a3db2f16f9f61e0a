import type { Queryable } from "../../../platform/postgres/database.ts";
import type { Dataset } from "../values/dataset.ts";
import type { GroupSchema } from "./group-model.ts";
import type { ResourceReference } from "./references.ts";
import type { ResolvedColumn, ResolvedVersion } from "./resolved.ts";
import type { StoredColumn } from "./view-store.ts";

interface VersionRow {
  readonly groupId: number;
  readonly namespace: string;
  readonly group: string;
  readonly version: number;
  readonly definition: GroupSchema;
  readonly datasetId: number;
  readonly firstVersion: number;
  readonly entityKeys: Dataset["entityKeys"];
  readonly features: Dataset["features"];
}

const COLUMNS = `
  g.group_id AS "groupId", g.namespace, g.name AS "group", v.version, v.definition, d.dataset_id AS "datasetId",
  d.first_version AS "firstVersion", d.entity_keys AS "entityKeys", d.features`;
const GET_VERSION = `
  SELECT ${COLUMNS} FROM feature_groups g
    JOIN feature_group_versions v ON v.group_id = g.group_id AND v.version = coalesce($3::integer, g.current_version)
    JOIN feature_datasets d ON d.dataset_id = v.dataset_id
   WHERE g.namespace = $1 AND g.name = $2`;

export async function loadVersion(
  database: Queryable,
  { namespace, name, version }: ResourceReference,
): Promise<ResolvedVersion | undefined> {
  const { rows } = await database.query<VersionRow>(GET_VERSION, [namespace, name, version ?? null]);
  return rows[0] && resolveVersion(rows[0]);
}

/** A version of a view as the catalog keeps it, whoever may read it. */
export interface ResolvedView {
  readonly namespace: string;
  readonly name: string;
  readonly columns: readonly ResolvedColumn[];
  /** Groups of other namespaces than the view's own that it reads. */
  readonly foreign: readonly { readonly namespace: string; readonly name: string }[];
  /** A group that it reads and that is not there any more. */
  readonly missing: string | undefined;
}

const GET_VIEW = `
  SELECT w.features AS columns FROM feature_views v
    JOIN feature_view_versions w ON w.view_id = v.view_id AND w.version = coalesce($3::integer, v.current_version)
   WHERE v.namespace = $1 AND v.name = $2`;
const GET_PINNED = `
  SELECT ${COLUMNS} FROM unnest($1::bigint[], $2::integer[]) AS wanted (group_id, version)
    JOIN feature_group_versions v ON v.group_id = wanted.group_id AND v.version = wanted.version
    JOIN feature_groups g ON g.group_id = v.group_id
    JOIN feature_datasets d ON d.dataset_id = v.dataset_id`;

export async function loadView(
  database: Queryable,
  { namespace, name, version }: ResourceReference,
): Promise<ResolvedView | undefined> {
  const { rows } = await database.query<{ columns: StoredColumn[] }>(GET_VIEW, [namespace, name, version ?? null]);
  const stored = rows[0]?.columns;
  if (stored === undefined) return undefined;
  const wanted = [...new Map(stored.map((column) => [pinOf(column), column])).values()];
  const { rows: pinned } = await database.query<VersionRow>(GET_PINNED, [
    wanted.map(({ groupId }) => groupId),
    wanted.map((column) => column.version),
  ]);
  const versions = new Map(pinned.map((row) => [pinOf(row), indexFeatures(resolveVersion(row))]));
  const lost = stored.find((column) => !versions.has(pinOf(column)));
  const foreign = wanted.filter((column) => column.namespace !== namespace);
  return {
    namespace,
    name,
    columns: lost ? [] : stored.map((column) => versions.get(pinOf(column))!(column.feature, column.name)!),
    foreign: foreign.map((column) => ({ namespace: column.namespace, name: column.group })),
    missing: lost && `${lost.namespace}/${lost.group}`,
  };
}

/** Finds features of a version by name, and calls each what it was asked for as. */
export function indexFeatures(version: ResolvedVersion): (feature: string, as: string) => ResolvedColumn | undefined {
  const at = new Map(version.features.map(({ name }, index) => [name, index]));
  return (name, as) => {
    const index = at.get(name);
    if (index === undefined) return undefined;
    return Object.freeze({ name: as, version, feature: version.features[index]!, index: version.places[index]! });
  };
}

const pinOf = ({ groupId, version }: { readonly groupId: number; readonly version: number }) => `${groupId}@${version}`;

function resolveVersion(row: VersionRow): ResolvedVersion {
  const { namespace, group, version, definition, datasetId, firstVersion, entityKeys, features } = row;
  const place = new Map(features.map(({ name }, index) => [name, index]));
  return Object.freeze({
    namespace,
    group,
    version,
    dataset: Object.freeze({ datasetId, namespace, group, firstVersion, entityKeys, features }),
    features: definition.features,
    places: definition.features.map(({ name }) => place.get(name)!),
    ttlMs: definition.ttlMs,
    online: definition.online,
    offline: definition.offline,
    validation: definition.validation,
    freshness: definition.freshness,
  });
}
