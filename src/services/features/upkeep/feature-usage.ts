import type { Queryable } from "../../../platform/postgres/database.ts";

const USAGE = `
  WITH datasets AS (SELECT dataset_id FROM feature_datasets WHERE namespace = $1)
  SELECT (
    (SELECT coalesce(sum(f.size_bytes), 0) FROM feature_files f JOIN datasets USING (dataset_id) WHERE f.replaced_at IS NULL)
    + (SELECT coalesce(sum(octet_length(l.payload)), 0) FROM feature_log l JOIN datasets USING (dataset_id))
    + (SELECT coalesce(sum(e.size_bytes), 0) FROM feature_exchange_files e WHERE e.namespace = $1)
    + (SELECT coalesce(sum(octet_length(q.sent)), 0) FROM feature_quarantine q WHERE q.namespace = $1)
  )::bigint AS "storageBytes"`;

/** What a namespace's features take of the quotas: rows in files, in the log and in quarantine, and files that were uploaded or made. */
export async function readFeatureUsage(queryable: Queryable, namespace: string): Promise<{ storageBytes: number }> {
  return (await queryable.query<{ storageBytes: number }>(USAGE, [namespace])).rows[0]!;
}
