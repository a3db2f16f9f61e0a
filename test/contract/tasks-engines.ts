import type { NamespaceQuotas } from "../../src/core/call.ts";
import { Call } from "../../src/core/call.ts";
import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { createLocalPubSub } from "../../src/platform/local-pubsub.ts";
import type { Database } from "../../src/platform/postgres/database.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { createPostgresLeaseStore, type LeaseStore, leaseMigrations } from "../../src/services/leases/index.ts";
import { createTasksDomain, type TaskServices, taskMigrations } from "../../src/services/tasks/index.ts";
import { NewTask, type Task } from "../../src/services/tasks/task-model.ts";
import { databaseEngines } from "./engines.ts";

export const NAMESPACE = "default";
const DAY_MS = 86_400_000;

/** The whole domain on one engine, with shorthands for what tests say most. */
export interface OpenTasks extends TaskServices {
  readonly database: Database;
  readonly leases: LeaseStore;
  /** What the retry policy's jitter is drawn from. */
  random: number;
  /** A second gateway on the same database, which hears of the first one's changes only through the database. */
  secondGateway(): Promise<TaskServices>;
  /** Starts the background loops. */
  startMaintenance(options?: { retentionMs?: number; eventRetentionMs?: number }): Promise<void>;
  enqueue(task?: Partial<TaskInput>, queue?: string, quotas?: NamespaceQuotas): Promise<Task>;
  enqueueBatch(tasks: readonly Partial<TaskInput>[], queue?: string, quotas?: NamespaceQuotas): Promise<string[]>;
  lease(request?: Partial<LeaseInput>, call?: Call): Promise<Task[]>;
  /** The row as it lies in the database, all columns. */
  row(taskId: string): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export type TaskInput = Parameters<typeof NewTask.parse>[0] & Record<string, unknown>;
export type LeaseInput = Parameters<TaskServices["executions"]["lease"]>[0];

export interface TasksEngine {
  readonly name: string;
  open(): Promise<OpenTasks>;
}

/** A call with nothing known of it but the namespace and its quotas. */
export function callWith(quotas: NamespaceQuotas = {}): Call {
  const call = new Call({ protocol: "rest" });
  call.namespace = { name: NAMESPACE, isolation: "STRICT", quotas };
  return call;
}

/** A task as the contract would parse it. */
export function newTask(task: Partial<TaskInput> = {}): NewTask {
  return NewTask.parse({ kind: "test", ...task });
}

async function openTasks(engine: (typeof databaseEngines)[number]): Promise<OpenTasks> {
  const { database, close } = await engine.open();
  await migrate(database, [...leaseMigrations, ...taskMigrations]);
  const leases = createPostgresLeaseStore(database);
  const ends: (() => unknown)[] = [];
  const makeDomain = async (retentionMs = DAY_MS, eventRetentionMs = DAY_MS) => {
    const domain = await createTasksDomain({
      database,
      leases,
      pubsub,
      ids: createIdGenerator(systemClock),
      clock: systemClock,
      logger: silentLogger,
      random: () => opened.random,
      maxPayloadBytes: 256 * 1024,
      retentionMs,
      eventRetentionMs,
    });
    ends.push(() => domain.close());
    return domain;
  };
  const pubsub = createLocalPubSub();
  const { services } = await makeDomain();

  const opened: OpenTasks = {
    ...services,
    database,
    leases,
    random: 0.5,
    async secondGateway() {
      const domain = await createTasksDomain({
        database,
        leases,
        pubsub: createLocalPubSub(),
        ids: createIdGenerator(systemClock),
        clock: systemClock,
        logger: silentLogger,
        maxPayloadBytes: 256 * 1024,
        retentionMs: DAY_MS,
        eventRetentionMs: DAY_MS,
      });
      ends.push(() => domain.close());
      return domain.services;
    },
    async startMaintenance({ retentionMs, eventRetentionMs } = {}) {
      const { maintenance } = await makeDomain(retentionMs, eventRetentionMs);
      await maintenance.start();
      ends.push(() => maintenance.stop(5_000));
    },
    enqueue: async (task, queue = "q", quotas) =>
      (await services.tasks.enqueue({ namespace: NAMESPACE, queue, ...newTask(task) }, callWith(quotas))).task,
    enqueueBatch: async (tasks, queue = "q", quotas) =>
      (
        await services.tasks.batchEnqueue({ namespace: NAMESPACE, queue, tasks: tasks.map(newTask) }, callWith(quotas))
      ).tasks.map(({ taskId }) => taskId),
    lease: (request, call = callWith()) =>
      services.executions.lease(
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
      for (const end of ends.reverse()) await end();
      await close();
    },
  };
  return opened;
}

/** Both databases, each with an empty domain. */
export const tasksEngines: readonly TasksEngine[] = databaseEngines.map((engine) => ({
  name: engine.name,
  open: () => openTasks(engine),
}));
