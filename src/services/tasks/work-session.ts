import type { Call } from "../../core/call.ts";
import { AppError, toAppError } from "../../core/errors.ts";
import { createOutbox, type Outbox } from "../../core/outbox.ts";
import type { ExecutionService } from "./execution-service.ts";
import type { Task } from "./task-model.ts";
import type { WorkCommand, WorkRequest, WorkResponse } from "./work-session-model.ts";

type StartWork = Extract<WorkCommand, { type: "START" }>;
type TaskCommand = Exclude<WorkCommand, { type: "START" | "STOP" }>;

/** How long one look for work waits before it looks whether the session is over. */
const LEASE_WAIT_MS = 30_000;

export type WorkSession = (requests: AsyncIterable<WorkRequest>, call: Call) => AsyncIterable<WorkResponse>;

/**
 * A worker's conversation: it gets tasks as long as fewer than maxInFlight are unsettled, and sends
 * heartbeats and results. Each command is answered by ACKNOWLEDGED once it is durable, or by REFUSED.
 * When the worker goes away, tasks it was not sent are released; its other leases end by themselves.
 */
export function createWorkSession(executions: ExecutionService): WorkSession {
  return async function* work(requests, call) {
    const outbox = createOutbox<WorkResponse>();
    const session: Session = { inFlight: new Map(), unsent: new Set(), stop: new AbortController(), settled: () => {} };
    // A worker that is full waits for room, which a call that has ended never gives.
    call.onAbort(() => stop(session));
    const conversation = converse(executions, requests, call, outbox, session).then(
      () => outbox.end(),
      (error: unknown) => outbox.end(toAppError(error)),
    );
    try {
      for await (const response of outbox) {
        if (response.event.type === "ASSIGNED") session.unsent.delete(response.event.task);
        yield response;
      }
    } finally {
      stop(session);
      await conversation;
      await releaseUnsent(executions, session);
    }
  };
}

interface Session {
  /** Task id → fence of what was assigned and is not settled. */
  readonly inFlight: Map<string, number>;
  /** Assigned tasks that the worker has not been told of yet. */
  readonly unsent: Set<Task>;
  /** Fires when no more tasks are to be assigned. */
  readonly stop: AbortController;
  /** Wakes the assigner: there may be room. */
  settled: () => void;
}

function stop(session: Session): void {
  session.stop.abort();
  session.settled();
}

async function converse(
  executions: ExecutionService,
  requests: AsyncIterable<WorkRequest>,
  call: Call,
  outbox: Outbox<WorkResponse>,
  session: Session,
): Promise<void> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  const start = first.done ? undefined : first.value.command;
  if (start?.type !== "START") {
    throw new AppError("FAILED_PRECONDITION", "SESSION_NOT_STARTED", "The first message of a session must be `start`.");
  }
  const namespace = first.value.namespace;
  const assigning = assign(executions, namespace, start, call, outbox, session);
  const listening = listen(executions, namespace, start, iterator, outbox, session);
  await Promise.all([assigning, listening]);
}

/** A worker that has gone never hears of what was still waiting to be sent; others need not wait for its leases. */
async function releaseUnsent(executions: ExecutionService, { unsent }: Session): Promise<void> {
  const release = ({ namespace, taskId, fence }: Task) => executions.release({ namespace, taskId, fence, delayMs: 0 });
  await Promise.allSettled([...unsent].map(release));
}

/** Leases tasks while there is room, until the session stops. */
async function assign(
  executions: ExecutionService,
  namespace: string,
  start: StartWork,
  call: Call,
  outbox: Outbox<WorkResponse>,
  session: Session,
): Promise<void> {
  const [queue, ...additionalQueues] = start.queues;
  const { workerId, capabilities, leaseMs, maxInFlight } = start;
  const signal = AbortSignal.any([call.signal, session.stop.signal]);
  while (!signal.aborted) {
    const room = maxInFlight - session.inFlight.size;
    if (room <= 0) {
      await new Promise<void>((resolve) => {
        session.settled = resolve;
      });
      continue;
    }
    const request = {
      namespace,
      queue: queue!,
      additionalQueues,
      workerId,
      capabilities,
      maxTasks: room,
      leaseMs,
      waitMs: LEASE_WAIT_MS,
    };
    const tasks = await executions.lease(request, call, signal);
    if (tasks.length === 0 && executions.isDraining && !session.stop.signal.aborted) {
      stop(session);
      await outbox.put({ event: { type: "DRAINING" } });
    }
    for (const task of tasks) {
      if (session.stop.signal.aborted) {
        await executions.release({ namespace, taskId: task.taskId, fence: task.fence, delayMs: 0 });
        continue;
      }
      session.inFlight.set(task.taskId, task.fence);
      session.unsent.add(task);
      await outbox.put({ event: { type: "ASSIGNED", task } });
    }
  }
  if (call.abortReason) throw call.abortReason;
}

/** Carries out what the worker says, in its order, until it has nothing more to say. */
async function listen(
  executions: ExecutionService,
  namespace: string,
  start: StartWork,
  iterator: AsyncIterator<WorkRequest>,
  outbox: Outbox<WorkResponse>,
  session: Session,
): Promise<void> {
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
    const { command } = next.value;
    if (command.type === "START") {
      throw new AppError(
        "FAILED_PRECONDITION",
        "SESSION_STARTED",
        "The session has been started already. Open another one.",
      );
    }
    if (command.type === "STOP") {
      stop(session);
      await outbox.put({ event: { type: "DRAINING" } });
    } else {
      await outbox.put({ event: await carryOut(executions, namespace, start, command, session) });
    }
    session.settled();
    if (session.stop.signal.aborted && session.inFlight.size === 0) return;
  }
  stop(session);
}

async function carryOut(
  executions: ExecutionService,
  namespace: string,
  start: StartWork,
  command: TaskCommand,
  session: Session,
): Promise<WorkResponse["event"]> {
  const { taskId, fence, type } = command;
  const about = { taskId, fence, command: type };
  try {
    await perform(executions, namespace, start, command);
    if (type !== "HEARTBEAT") forget(session, taskId, fence);
    return { type: "ACKNOWLEDGED", ...about };
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.reason === "LEASE_LOST" || error.code === "NOT_FOUND") forget(session, taskId, fence);
    return { type: "REFUSED", ...about, code: error.code, reason: error.reason, message: error.message };
  }
}

function forget(session: Session, taskId: string, fence: number): void {
  if (session.inFlight.get(taskId) === fence) session.inFlight.delete(taskId);
}

async function perform(
  executions: ExecutionService,
  namespace: string,
  start: StartWork,
  command: TaskCommand,
): Promise<void> {
  const held = { namespace, taskId: command.taskId, fence: command.fence };
  switch (command.type) {
    case "HEARTBEAT":
      await executions.heartbeat({ ...held, leaseMs: start.leaseMs, progress: command.progress });
      return;
    case "COMPLETE":
      await executions.complete({ ...held, result: command.result });
      return;
    case "FAIL":
      await executions.fail({ ...held, error: command.error, retryable: command.retryable });
      return;
    case "RELEASE":
      await executions.release({ ...held, delayMs: 0 });
      return;
  }
}
