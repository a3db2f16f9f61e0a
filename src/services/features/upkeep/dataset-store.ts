import type { Queryable } from "../../../platform/postgres/database.ts";
import type { GroupSchema } from "../definitions/group-model.ts";
import type { Dataset } from "../values/dataset.ts";

/** A dataset as the background needs it: where its rows are, and what becomes of them. */
export interface TendedDataset {
  readonly dataset: Dataset;
  /** Of the newest version that shares it. */
  readonly ttlMs: number | undefined;
  readonly online: boolean;
  readonly offline: boolean;
  /** Its group has been deleted: so shall its rows be. */
  readonly isOrphan: boolean;
}

interface Row {
  readonly datasetId: number;
  readonly namespace: string;
  readonly group: string;
  readonly firstVersion: number;
  readonly entityKeys: Dataset["entityKeys"];
  readonly features: Dataset["features"];
  readonly isOrphan: boolean;
  readonly definition: GroupSchema | null;
}

const GET = `
  SELECT d.dataset_id AS "datasetId", d.namespace, d.group_name AS "group", d.first_version AS "firstVersion",
    d.entity_keys AS "entityKeys", d.features, d.group_id IS NULL AS "isOrphan",
    (SELECT v.definition FROM feature_group_versions v WHERE v.group_id = d.group_id AND v.dataset_id = d.dataset_id
     ORDER BY v.version DESC LIMIT 1) AS definition
  FROM feature_datasets d WHERE d.dataset_id = $1`;

export async function getTendedDataset(queryable: Queryable, datasetId: number): Promise<TendedDataset | undefined> {
  const row = (await queryable.query<Row>(GET, [datasetId])).rows[0];
  if (row === undefined) return undefined;
  const { definition, isOrphan, ...dataset } = row;
  return {
    dataset,
    ttlMs: definition?.ttlMs,
    online: definition?.online ?? false,
    offline: definition?.offline ?? false,
    isOrphan,
  };
}

const CLAIM = `
  UPDATE feature_datasets SET tended_until = now() + make_interval(secs => $2 / 1000.0)
  WHERE dataset_id = $1 AND (tended_until IS NULL OR tended_until < now())`;

/** Keeps other gateways from doing the same work for a while; what is done is right without it too. */
export async function claimDataset(queryable: Queryable, datasetId: number, forMs: number): Promise<boolean> {
  return (await queryable.query(CLAIM, [datasetId, forMs])).rowCount === 1;
}

const RELEASE = "UPDATE feature_datasets SET tended_until = NULL WHERE dataset_id = $1";

export async function releaseDataset(queryable: Queryable, datasetId: number): Promise<void> {
  await queryable.query(RELEASE, [datasetId]);
}

const ORPHANS = `
  SELECT dataset_id AS "datasetId" FROM feature_datasets
  WHERE group_id IS NULL AND (tended_until IS NULL OR tended_until < now()) ORDER BY dataset_id LIMIT $1`;

/** Datasets whose group is gone. */
export async function listOrphans(queryable: Queryable, limit: number): Promise<number[]> {
  const { rows } = await queryable.query<{ datasetId: number }>(ORPHANS, [limit]);
  return rows.map(({ datasetId }) => datasetId);
}

const FORGET = "DELETE FROM feature_datasets WHERE dataset_id = $1 AND group_id IS NULL";

export async function forgetDataset(queryable: Queryable, datasetId: number): Promise<void> {
  await queryable.query(FORGET, [datasetId]);
}
