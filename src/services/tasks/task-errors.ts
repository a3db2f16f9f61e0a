import { AppError, notFound } from "../../core/errors.ts";
import type { TaskRow } from "./store/task-row.ts";

/** Says why a fence changed nothing: the task is unknown, or somebody else's turn has begun, or it has ended. */
export function leaseLost(task: TaskRow | undefined, taskId: string, fence: number): AppError {
  if (task === undefined) return notFound("task", taskId);
  const because =
    task.fence > fence
      ? `it was leased again with fence ${task.fence}`
      : task.fence < fence
        ? "it was never leased with that fence"
        : `it is ${task.state} and no longer leased`;
  return new AppError(
    "ABORTED",
    "LEASE_LOST",
    `Fence ${fence} does not hold task "${taskId}": ${because}. Nothing was changed; drop this attempt and lease again.`,
    { details: { metadata: { taskId, fence: String(fence), state: task.state } } },
  );
}
