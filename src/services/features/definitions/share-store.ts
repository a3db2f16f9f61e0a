import type { Queryable } from "../../../platform/postgres/database.ts";
import type { FeatureResourceType } from "./view-model.ts";

/** A share as its row has it. */
export interface StoredShare {
  readonly namespace: string;
  readonly resourceType: FeatureResourceType;
  readonly resource: string;
  readonly withNamespace: string;
  readonly createdBy: string;
  readonly createdAt: Date;
}

export type ShareKey = Pick<StoredShare, "namespace" | "resourceType" | "resource" | "withNamespace">;

const COLUMNS = `
  namespace, resource_type AS "resourceType", resource_name AS resource, with_namespace AS "withNamespace",
  created_by AS "createdBy", created_at AS "createdAt"`;

const keyValues = ({ namespace, resourceType, resource, withNamespace }: ShareKey) => [
  namespace,
  resourceType,
  resource,
  withNamespace,
];
const IS_KEY = "namespace = $1 AND resource_type = $2 AND resource_name = $3 AND with_namespace = $4";

const LOCK_GROUP = "SELECT FROM feature_groups WHERE namespace = $1 AND name = $2 FOR KEY SHARE";
const LOCK_VIEW = "SELECT FROM feature_views WHERE namespace = $1 AND name = $2 FOR KEY SHARE";

/** Whether the group or view is there; if so it stays until the transaction ends. */
export async function lockShared(transaction: Queryable, type: FeatureResourceType, namespace: string, name: string) {
  const { rows } = await transaction.query(type === "GROUP" ? LOCK_GROUP : LOCK_VIEW, [namespace, name]);
  return rows.length > 0;
}

const INSERT = `
  INSERT INTO feature_shares (namespace, resource_type, resource_name, with_namespace, created_by, created_at)
  VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`;

/** Does nothing where the share is there already. */
export async function insertShare(transaction: Queryable, share: StoredShare): Promise<void> {
  await transaction.query(INSERT, [...keyValues(share), share.createdBy, share.createdAt]);
}

export async function getShare(database: Queryable, key: ShareKey): Promise<StoredShare | undefined> {
  const text = `SELECT ${COLUMNS} FROM feature_shares WHERE ${IS_KEY}`;
  return (await database.query<StoredShare>(text, keyValues(key))).rows[0];
}

/** Answers whether it was there. */
export async function deleteShare(database: Queryable, key: ShareKey): Promise<boolean> {
  return (await database.query(`DELETE FROM feature_shares WHERE ${IS_KEY}`, keyValues(key))).rowCount > 0;
}

const DELETE_OF = `
  DELETE FROM feature_shares WHERE namespace = $1 AND resource_type = $2 AND resource_name = $3
  RETURNING with_namespace AS "withNamespace"`;

/** Ends every share of a group or view, and answers with whom it was shared. */
export async function deleteSharesOf(
  transaction: Queryable,
  namespace: string,
  resourceType: FeatureResourceType,
  resource: string,
): Promise<string[]> {
  const { rows } = await transaction.query<{ withNamespace: string }>(DELETE_OF, [namespace, resourceType, resource]);
  return rows.map(({ withNamespace }) => withNamespace);
}

const LIST_GRANTED = `
  SELECT ${COLUMNS} FROM feature_shares
   WHERE namespace = $1 AND (resource_type, resource_name, with_namespace) > ($2, $3, $4)
   ORDER BY resource_type, resource_name, with_namespace LIMIT $5`;

export type GrantedPlace = readonly [resourceType: string, resource: string, withNamespace: string];

export async function listGranted(database: Queryable, namespace: string, place: GrantedPlace, limit: number) {
  return (await database.query<StoredShare>(LIST_GRANTED, [namespace, ...place, limit])).rows;
}

const LIST_RECEIVED = `
  SELECT ${COLUMNS} FROM feature_shares
   WHERE with_namespace = $1 AND (namespace, resource_type, resource_name) > ($2, $3, $4)
     AND EXISTS (SELECT FROM namespaces n WHERE n.name = feature_shares.namespace AND n.isolation <> 'STRICT')
   ORDER BY namespace, resource_type, resource_name LIMIT $5`;

export type ReceivedPlace = readonly [namespace: string, resourceType: string, resource: string];

/** Those of strict namespaces mean nothing, so they are left out. */
export async function listReceived(database: Queryable, namespace: string, place: ReceivedPlace, limit: number) {
  return (await database.query<StoredShare>(LIST_RECEIVED, [namespace, ...place, limit])).rows;
}

const SHARED_GROUPS = `
  SELECT namespace, resource_name AS name FROM feature_shares
   WHERE with_namespace = $1 AND resource_type = 'GROUP'
     AND (namespace, resource_name) IN (SELECT * FROM unnest($2::text[], $3::text[]))`;

/** Which of these groups are shared with `reader`, whatever the isolation of their namespaces. */
export async function listSharedGroups(
  database: Queryable,
  reader: string,
  groups: readonly { readonly namespace: string; readonly name: string }[],
) {
  const values = [reader, groups.map(({ namespace }) => namespace), groups.map(({ name }) => name)];
  return (await database.query<{ namespace: string; name: string }>(SHARED_GROUPS, values)).rows;
}
