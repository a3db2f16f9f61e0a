import type { Queryable } from "../../../platform/postgres/database.ts";

const COUNT = `
  SELECT (SELECT count(*) FROM feature_groups WHERE namespace = $1) AS groups,
         (SELECT count(*) FROM feature_views WHERE namespace = $1) AS views`;

/** Says in words what a namespace has defined; nothing where that is nothing. */
export async function holdsDefinitions(queryable: Queryable, namespace: string): Promise<readonly string[]> {
  const { rows } = await queryable.query<{ groups: number; views: number }>(COUNT, [namespace]);
  const { groups = 0, views = 0 } = rows[0] ?? {};
  return [...(groups > 0 ? [`${groups} feature groups`] : []), ...(views > 0 ? [`${views} feature views`] : [])];
}

const LOCK_GROUPS = "SELECT FROM feature_groups WHERE namespace = $1 ORDER BY group_id FOR UPDATE";
const FORGET_USES = `
  DELETE FROM feature_view_sources s USING feature_groups g WHERE g.group_id = s.group_id AND g.namespace = $1`;
const PURGE_TABLES = [
  "feature_views",
  "feature_groups",
  "feature_shares",
  "feature_search",
  "feature_quarantine",
  "feature_jobs",
  "feature_exchange_files",
] as const;

/**
 * Deletes all that a namespace has defined and shares. Views of others that read its groups stay,
 * and find nothing there. What others share with its name is theirs, and stays: to take that away
 * would tell them that the namespace is gone. Datasets stay behind for the background to clear away.
 */
export async function purgeDefinitions(transaction: Queryable, namespace: string): Promise<void> {
  await transaction.query(LOCK_GROUPS, [namespace]);
  await transaction.query(FORGET_USES, [namespace]);
  for (const table of PURGE_TABLES) await transaction.query(`DELETE FROM ${table} WHERE namespace = $1`, [namespace]);
}
