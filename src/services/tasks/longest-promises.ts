import { createBoundedMap } from "../../platform/bounded-map.ts";
import { raiseLease } from "./store/read.ts";
import type { TaskContext } from "./task-context.ts";

const MAX_REMEMBERED = 100_000;

interface Promised {
  readonly taskId: string;
  readonly fence: number;
}

/**
 * Sees to it that the row knows the longest time that a lease was promised at once, so that a worker
 * gets that long where the lease store has forgotten the lease. The row learns it from the claim and
 * from the first heartbeat that promises more; other heartbeats leave Postgres alone.
 */
export function createLongestPromises(context: TaskContext) {
  const known = createBoundedMap<{ readonly fence: number; readonly leaseMs: number }>(MAX_REMEMBERED, () => 1);
  return {
    /** The row says so already. */
    note({ taskId, fence }: Promised, leaseMs: number): void {
      known.set(taskId, { fence, leaseMs });
    },
    /** Comes before the promise. */
    async raise(namespace: string, task: Promised, leaseMs: number): Promise<void> {
      const last = known.get(task.taskId);
      if (last?.fence === task.fence && last.leaseMs >= leaseMs) return;
      await raiseLease(context.database, namespace, task.taskId, task.fence, leaseMs);
      this.note(task, leaseMs);
    },
    forget({ taskId }: Promised): void {
      known.delete(taskId);
    },
  };
}
