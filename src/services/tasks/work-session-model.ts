import { z } from "zod";
import { identifier, message, namespaceField } from "../../core/schema.ts";
import {
  CompleteTaskRequest,
  capabilitiesField,
  fenceField,
  leaseMsField,
  queueField,
  Task,
  TaskError,
  TaskProgress,
  taskIdField,
  workerIdField,
} from "./task-model.ts";

const held = { taskId: taskIdField, fence: fenceField };

export const StartWork = message("StartWork", "Opens the session; the first message.", {
  type: z.literal("START"),
  queues: z.array(queueField).min(1).max(32).describe("Where to take work from."),
  workerId: workerIdField,
  capabilities: capabilitiesField.default([]),
  maxInFlight: z
    .int32()
    .min(1)
    .max(1000)
    .default(1)
    .describe("At most this many tasks are held by the session at a time."),
  leaseMs: leaseMsField.default(30_000),
});
export const HeartbeatWork = message("HeartbeatWork", "Says that a task is still being worked on.", {
  type: z.literal("HEARTBEAT"),
  ...held,
  progress: TaskProgress.optional().describe("How far it is."),
});
export const CompleteWork = message("CompleteWork", "Says that a task is done.", {
  type: z.literal("COMPLETE"),
  ...held,
  result: CompleteTaskRequest.shape.result,
});
export const FailWork = message("FailWork", "Says that an attempt failed.", {
  type: z.literal("FAIL"),
  ...held,
  error: TaskError.describe("What went wrong."),
  retryable: z.boolean().default(true).describe("False sends it to the dead letters at once."),
});
export const ReleaseWork = message("ReleaseWork", "Gives a task back untried.", {
  type: z.literal("RELEASE"),
  ...held,
});
export const StopWork = message("StopWork", "Asks for no more tasks; the session ends when the last one is settled.", {
  type: z.literal("STOP"),
});

export const WorkCommand = z
  .discriminatedUnion("type", [StartWork, HeartbeatWork, CompleteWork, FailWork, ReleaseWork, StopWork])
  .meta({ id: "WorkCommand", description: "What a worker says in a session." });
export type WorkCommand = z.output<typeof WorkCommand>;

export const WorkRequest = message("WorkRequest", "One message of a worker in its session.", {
  namespace: namespaceField,
  command: WorkCommand.describe("What it says."),
});
export type WorkRequest = z.output<typeof WorkRequest>;

export const WorkAssigned = message("WorkAssigned", "A task for the worker.", {
  type: z.literal("ASSIGNED"),
  task: Task.describe("It carries its fence."),
});
export const WorkAcknowledged = message("WorkAcknowledged", "A command about a task took effect and is durable.", {
  type: z.literal("ACKNOWLEDGED"),
  taskId: z.string().describe("The task."),
  fence: z.int().describe("Its fence."),
  command: identifier(20).describe("The command's type, e.g. COMPLETE."),
});
export const WorkRefused = message("WorkRefused", "A command about a task was refused; the session goes on.", {
  type: z.literal("REFUSED"),
  taskId: z.string().describe("The task."),
  fence: z.int().describe("The fence that was named."),
  command: identifier(20).describe("The command's type, e.g. COMPLETE."),
  code: z.string().describe("The canonical code, e.g. ABORTED."),
  reason: z.string().describe("The stable reason, e.g. LEASE_LOST."),
  message: z.string().describe("For people."),
});
export const WorkDraining = message("WorkDraining", "No more tasks will come; settle what is held.", {
  type: z.literal("DRAINING"),
});

export const WorkEvent = z
  .discriminatedUnion("type", [WorkAssigned, WorkAcknowledged, WorkRefused, WorkDraining])
  .meta({ id: "WorkEvent", description: "What the gateway says in a session." });
export type WorkEvent = z.output<typeof WorkEvent>;

export const WorkResponse = message("WorkResponse", "One message of the gateway in a worker's session.", {
  event: WorkEvent.describe("What it says."),
});
export type WorkResponse = z.output<typeof WorkResponse>;
