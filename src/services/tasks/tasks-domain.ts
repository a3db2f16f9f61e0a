import type { Clock } from "../../core/clock.ts";
import type { IdGenerator } from "../../core/ids.ts";
import type { Logger } from "../../core/logger.ts";
import type { Database } from "../../platform/postgres/database.ts";
import type { PubSub } from "../../platform/pubsub.ts";
import { createWakeUps } from "../../platform/wake-ups.ts";
import type { LeaseStore } from "../leases/index.ts";
import { createExecutionService, type ExecutionService } from "./execution-service.ts";
import { createQueueService, type QueueService } from "./queue-service.ts";
import type { TaskContext } from "./task-context.ts";
import { createTaskMaintenance, type TaskMaintenance, type TaskMaintenanceOptions } from "./task-maintenance.ts";
import { createTaskService, type TaskService } from "./task-service.ts";
import { createTaskWatch, type TaskWatch } from "./task-watch.ts";
import { createWorkSession, type WorkSession } from "./work-session.ts";
import { createWorkerService, type WorkerService } from "./worker-service.ts";

/** What this domain's operations are handed. */
export interface TaskServices {
  readonly tasks: TaskService;
  readonly executions: ExecutionService;
  readonly queues: QueueService;
  readonly workers: WorkerService;
  readonly watch: TaskWatch;
  readonly work: WorkSession;
}

export interface TasksDomain {
  readonly services: TaskServices;
  readonly maintenance: TaskMaintenance;
  /** Answers long polls at once, because the gateway goes away. */
  drain(): void;
  close(): void;
}

export interface TasksDomainOptions extends TaskMaintenanceOptions {
  readonly database: Database;
  readonly leases: LeaseStore;
  readonly pubsub: PubSub;
  readonly ids: IdGenerator;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly random?: () => number;
  readonly maxPayloadBytes: number;
}

/** Builds the domain. Nothing runs until `maintenance` is started. */
export async function createTasksDomain(options: TasksDomainOptions): Promise<TasksDomain> {
  const { database, leases, pubsub, ids, clock, logger, maxPayloadBytes } = options;
  const readiness = await createWakeUps(pubsub, "tasks.ready");
  const changes = await createWakeUps(pubsub, "tasks.changed");
  const context: TaskContext = {
    database,
    leases,
    ids,
    clock,
    random: options.random ?? Math.random,
    logger,
    readiness,
    changes,
    scheduled: (delayMs) => maintenance.scheduled(delayMs),
    maxPayloadBytes,
  };
  const maintenance = createTaskMaintenance(context, options);
  const executions = createExecutionService(context);
  return {
    services: {
      tasks: createTaskService(context),
      executions,
      queues: createQueueService(context),
      workers: createWorkerService(context),
      watch: createTaskWatch(context),
      work: createWorkSession(executions),
    },
    maintenance,
    drain: () => readiness.drain(),
    close() {
      readiness.close();
      changes.close();
    },
  };
}
