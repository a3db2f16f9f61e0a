import { z } from "zod";
import type { Call } from "../../core/call.ts";
import { AppError } from "../../core/errors.ts";
import { createPageTokens } from "../../core/page.ts";
import {
  currentCursor,
  type EventCursor,
  type EventFilter,
  type EventRow,
  hasMissedEvents,
  readEvents,
} from "./store/events.ts";
import type { TaskContext } from "./task-context.ts";
import type { TaskEvent, WatchTasksRequest, WatchTasksResponse } from "./task-model.ts";

const BATCH = 500;
/** A watcher looks again after this long even when nobody woke it, in case a wake-up was lost. */
const RECHECK_MS = 5_000;
/** After a wake-up an event may stay unreadable until older transactions end: look again soon, then less often. */
const SETTLE_MS = [10, 40, 160, 640] as const;
const CURSOR = z.strictObject({
  xid: z.string().regex(/^\d{1,19}$/),
  id: z.int().min(0),
  place: z.int32().min(0).default(0),
});

export type TaskWatch = (request: WatchTasksRequest, call: Call) => AsyncIterable<WatchTasksResponse>;

/**
 * Changes as they happen. Events are read from the database by cursor and wake-ups only say when to
 * look, so a watcher that comes back with its last cursor misses nothing.
 */
export function createTaskWatch(context: TaskContext): TaskWatch {
  return async function* watch(request, call) {
    const { database, changes } = context;
    const waiter = changes.waiter([request.namespace]);
    try {
      // A cursor is a place among all events of the namespace, whichever of them are asked for.
      const tokens = createPageTokens(CURSOR, ["tasks.watch", request.namespace], "cursor");
      let cursor = await startingCursor(context, tokens.decode(request.cursor));
      const cursorToken = () => tokens.encode({ ...cursor });
      // Whoever brings no cursor gets one at once, to come back to whatever happens to the stream.
      if (!request.cursor) yield { cursor: cursorToken() };
      let settling = 0;
      while (!call.signal.aborted) {
        // Asked before the look: what the look does not find below it, the filter has left out.
        const seenUpTo = await currentCursor(database);
        const rows = await readEvents(database, filterOf(request), cursor, BATCH);
        for (const row of rows) {
          cursor = { xid: row.xid, id: row.id, place: row.place };
          yield { cursor: cursorToken(), event: eventFromRow(row) };
        }
        if (rows.length === BATCH) continue;
        if (BigInt(seenUpTo.xid) > BigInt(cursor.xid)) cursor = seenUpTo;
        const woken = await waiter.wait(SETTLE_MS[settling] ?? RECHECK_MS, call.signal);
        settling = woken ? 0 : Math.min(settling + 1, SETTLE_MS.length);
      }
      throw (
        call.abortReason ??
        new AppError("CANCELLED", "STREAM_ENDED", "The stream was ended. Resume it from its last cursor.")
      );
    } finally {
      waiter.close();
    }
  };
}

async function startingCursor(context: TaskContext, cursor: EventCursor | undefined): Promise<EventCursor> {
  if (cursor === undefined) return currentCursor(context.database);
  if (await hasMissedEvents(context.database, cursor)) {
    throw new AppError(
      "FAILED_PRECONDITION",
      "CURSOR_EXPIRED",
      "Events after this cursor are not there any more: deleted for their age, or lost when an older database was restored. List the tasks to see how they stand, and watch without a cursor from now on.",
    );
  }
  return cursor;
}

function filterOf(request: WatchTasksRequest): EventFilter {
  return { namespace: request.namespace, queue: request.queue, taskId: request.taskId, types: request.types };
}

function eventFromRow(row: EventRow): TaskEvent {
  return {
    namespace: row.namespace,
    taskId: row.task_id,
    queue: row.queue,
    kind: row.kind,
    type: row.type as TaskEvent["type"],
    state: row.state,
    attempt: row.attempt,
    fence: row.fence,
    workerId: row.worker_id ?? undefined,
    occurredAt: row.occurred_at.toISOString(),
  };
}
