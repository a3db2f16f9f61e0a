import type { Queryable } from "../../platform/postgres/database.ts";
import { readUsage } from "./store/queues.ts";

/** What a namespace uses of the quotas that this domain enforces. */
export async function readTaskUsage(queryable: Queryable, namespace: string) {
  const usage = await readUsage(queryable, namespace);
  return {
    concurrentExecutions: usage.leased,
    queueDepth: usage.deepest_queue,
    storageBytes: usage.stored_bytes,
  };
}
