import { z } from "zod";
import { pageSizeField, pageTokenField } from "../../core/page.ts";
import { durationMs, enumeration, identifier, instant, message, namespaceField, text } from "../../core/schema.ts";
import { capabilitiesField, queueField, Task, workerIdField } from "./task-model.ts";

export const WorkerState = enumeration("WorkerState", "How a worker is.", {
  ACTIVE: "It is alive.",
  DRAINING: "It gets no new work.",
  LOST: "It has not been heard of for longer than its ttlMs.",
});

const metadataField = z
  .record(identifier(100), text(1000))
  .refine((metadata) => Object.keys(metadata).length <= 32, { error: "must not have more than 32 entries" })
  .describe("Anything worth knowing of the worker, e.g. its version; at most 32 entries.");

export const Worker = message("Worker", "A process that works on tasks.", {
  namespace: z.string().describe("The namespace it belongs to."),
  workerId: z.string().describe("Its own stable name."),
  state: WorkerState.describe("Whether it is there."),
  queues: z.array(z.string()).describe("The queues it says it serves."),
  capabilities: z.array(z.string()).describe("What it can do."),
  metadata: z.record(z.string(), z.string()).describe("Anything worth knowing of it."),
  ttlMs: z.int().describe("It is LOST after this long without a heartbeat, in milliseconds."),
  registeredAt: instant("When it registered first."),
  expiresAt: instant("When it is LOST without another heartbeat.").optional(),
});
export type Worker = z.output<typeof Worker>;

const named = { namespace: namespaceField, workerId: workerIdField };

export const RegisterWorkerRequest = message(
  "RegisterWorkerRequest",
  "Makes a worker known, or replaces what is known of it.",
  {
    ...named,
    queues: z.array(queueField).max(32).default([]).describe("The queues it serves, for people to see."),
    capabilities: capabilitiesField.default([]),
    metadata: metadataField.default({}),
    ttlMs: durationMs(1000, 86_400_000, "LOST after this long without a heartbeat, in milliseconds.").default(60_000),
  },
);
export const RegisterWorkerResponse = message("RegisterWorkerResponse", "The worker.", {
  worker: Worker.describe("The worker."),
});
export const HeartbeatWorkerRequest = message("HeartbeatWorkerRequest", "Says that the worker is alive.", named);
export const HeartbeatWorkerResponse = message("HeartbeatWorkerResponse", "What the worker is expected to do.", {
  state: WorkerState.describe("DRAINING asks the worker to finish what it holds and leave."),
  expiresAt: instant("When it is LOST without another heartbeat."),
});
export const GetWorkerRequest = message("GetWorkerRequest", "Asks for one worker.", named);
export const GetWorkerResponse = message("GetWorkerResponse", "The worker and what it holds.", {
  worker: Worker.describe("The worker."),
  tasks: z.array(Task).describe("The tasks it holds, oldest lease first, at most 1000."),
});
export const ListWorkersRequest = message("ListWorkersRequest", "Asks for a page of workers, by name.", {
  namespace: namespaceField,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export const ListWorkersResponse = message("ListWorkersResponse", "A page of workers.", {
  workers: z.array(Worker).describe("By name."),
  nextPageToken: z.string().optional().describe("Give it as pageToken to go on; absent on the last page."),
});
export const DrainWorkerRequest = message(
  "DrainWorkerRequest",
  "Gives the worker no new work; what it holds goes on. It registers again to come back.",
  named,
);
export const DrainWorkerResponse = message("DrainWorkerResponse", "The worker.", {
  worker: Worker.describe("The worker."),
});
export const DeregisterWorkerRequest = message(
  "DeregisterWorkerRequest",
  "Forgets a worker. What it still holds goes back when its leases end.",
  named,
);
export const DeregisterWorkerResponse = message("DeregisterWorkerResponse", "It is forgotten.", {});
