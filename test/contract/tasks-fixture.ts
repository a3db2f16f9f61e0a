import { Call, type NamespaceQuotas } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createLocalPubSub } from "../../src/platform/local-pubsub.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createPostgresLeaseStore, type LeaseStore, leaseMigrations } from "../../src/services/leases/index.ts";
import { createTasksDomain, type TaskServices, taskMigrations } from "../../src/services/tasks/index.ts";
import { NewTask, type Task } from "../../src/services/tasks/task-model.ts";

export const NAMESPACE = "default";
const DAY_MS = 86_400_000;

export type TaskInput = Partial<Parameters<typeof NewTask.parse>[0] & Record<string, unknown>>;
export type LeaseInput = Parameters<TaskServices["executions"]["lease"]>[0];

export interface TasksFixtureOptions {
  readonly retentionMs?: number;
  readonly eventRetentionMs?: number;
  readonly random?: () => number;
  readonly leases?: LeaseStore;
}

/** One gateway's tasks on `database`, with shorthands for what tests say most. */
export interface TasksFixture extends TaskServices {
  readonly database: Database;
  readonly leases: LeaseStore;
  /** Starts the background loops. */
  start(): Promise<void>;
  enqueue(task?: TaskInput, queue?: string, quotas?: NamespaceQuotas): Promise<Task>;
  enqueueBatch(tasks: readonly TaskInput[], queue?: string, quotas?: NamespaceQuotas): Promise<string[]>;
  lease(request?: Partial<LeaseInput>, call?: Call): Promise<Task[]>;
  /** The row as it lies in the database: all columns, and which version of the row it is. */
  row(taskId: string): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

/** A call of which nothing is known but the namespace and its quotas. */
export function callWith(quotas: NamespaceQuotas = {}): Call {
  const call = new Call({ protocol: "rest" });
  call.namespace = { name: NAMESPACE, isolation: "STRICT", quotas };
  return call;
}

/** A task as the contract parses it. */
export function newTask(task: TaskInput = {}): NewTask {
  return NewTask.parse({ kind: "test", ...task });
}

export async function migrateTasks(database: Database): Promise<void> {
  await migrate(database, [...leaseMigrations, ...taskMigrations]);
}

/** Empties every table, so that tests can share a database. */
export async function emptyTasks(database: Database): Promise<void> {
  await database.query(
    "TRUNCATE tasks, lease_checks, finished_tasks, task_events, task_event_horizon, queues, queue_lanes, queue_counters, queue_samples, workers, lease_deadlines",
  );
}

export async function createTasksFixture(database: Database, options: TasksFixtureOptions = {}): Promise<TasksFixture> {
  const leases = options.leases ?? createPostgresLeaseStore(database);
  const domain = await createTasksDomain({
    database,
    leases,
    pubsub: createLocalPubSub(),
    ids: createIdGenerator(systemClock),
    clock: systemClock,
    logger: silentLogger,
    random: options.random ?? (() => 0.5),
    maxPayloadBytes: 256 * 1024,
    retentionMs: options.retentionMs ?? DAY_MS,
    eventRetentionMs: options.eventRetentionMs ?? DAY_MS,
  });
  const { tasks, executions } = domain.services;
  return {
    ...domain.services,
    database,
    leases,
    start: () => domain.maintenance.start(),
    enqueue: async (task, queue = "q", quotas) =>
      (await tasks.enqueue({ namespace: NAMESPACE, queue, ...newTask(task) }, callWith(quotas))).task,
    async enqueueBatch(batch, queue = "q", quotas) {
      const request = { namespace: NAMESPACE, queue, tasks: batch.map(newTask) };
      return (await tasks.batchEnqueue(request, callWith(quotas))).tasks.map(({ taskId }) => taskId);
    },
    lease: (request, call = callWith()) =>
      executions.lease(
        {
          namespace: NAMESPACE,
          queue: "q",
          additionalQueues: [],
          workerId: "worker",
          capabilities: [],
          maxTasks: 1,
          leaseMs: 30_000,
          waitMs: 0,
          ...request,
        },
        call,
      ),
    async row(taskId) {
      const { rows } = await database.query(
        "SELECT t.*, t.xmin::text AS version FROM tasks t WHERE namespace = $1 AND id = $2::uuid",
        [NAMESPACE, taskId],
      );
      return rows[0]!;
    },
    async close() {
      await domain.maintenance.stop(5_000);
      domain.close();
    },
  };
}

export function held(task: Task) {
  return { namespace: NAMESPACE, taskId: task.taskId, fence: task.fence };
}

const COUNTED = ["scheduled", "ready", "leased", "completed", "dead_lettered", "cancelled"] as const;

/** What the counters say and what the rows say, by queue, priority and state; they are the same at rest. */
export async function countBothWays(database: Database) {
  const { rows: counters } = await database.query(
    `SELECT queue, priority, ${COUNTED.map((state) => `sum(${state})::int AS ${state}`).join(", ")}, sum(stored_bytes)::int AS bytes
     FROM queue_counters GROUP BY queue, priority
     HAVING sum(scheduled + ready + leased + completed + dead_lettered + cancelled) <> 0 OR sum(stored_bytes) <> 0
     ORDER BY queue, priority`,
    [],
  );
  const { rows } = await database.query(
    `SELECT queue, priority, ${COUNTED.map((state) => `(count(*) FILTER (WHERE state = '${state.toUpperCase()}'))::int AS ${state}`).join(", ")},
       sum(size_bytes)::int AS bytes
     FROM tasks GROUP BY queue, priority ORDER BY queue, priority`,
    [],
  );
  return { counters, rows };
}
