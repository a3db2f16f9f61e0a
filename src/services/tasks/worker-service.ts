import { z } from "zod";
import { notFound } from "../../core/errors.ts";
import { createPageTokens } from "../../core/page.ts";
import type { RemainingLease } from "../leases/index.ts";
import { listHeldTasks } from "./store/read.ts";
import { taskFromRow } from "./store/task-row.ts";
import {
  deleteWorker,
  drainWorker,
  getWorkers,
  listWorkers,
  registerWorker,
  type WorkerRegistration,
  type WorkerRow,
} from "./store/workers.ts";
import { type TaskContext, WORKER_LEASES } from "./task-context.ts";
import { type Task, workerIdField } from "./task-model.ts";
import type { Worker } from "./worker-model.ts";

const PLACE = z.strictObject({ after: workerIdField });
const MAX_HELD_TASKS = 1000;

export interface WorkerService {
  register(registration: WorkerRegistration): Promise<Worker>;
  /** NOT_FOUND where the worker is not registered: it registers again. */
  heartbeat(namespace: string, workerId: string): Promise<{ state: Worker["state"]; expiresAt: string }>;
  get(namespace: string, workerId: string): Promise<Worker>;
  getMany(namespace: string, workerIds: readonly string[]): Promise<Worker[]>;
  list(
    namespace: string,
    page: { pageSize: number; pageToken: string | undefined },
  ): Promise<{ workers: Worker[]; nextPageToken: string | undefined }>;
  drain(namespace: string, workerId: string): Promise<Worker>;
  deregister(namespace: string, workerId: string): Promise<void>;
  /** The tasks that the workers hold, oldest lease first, at most 1000. */
  heldTasks(namespace: string, workerIds: readonly string[]): Promise<Task[]>;
}

export function createWorkerService(context: TaskContext): WorkerService {
  const { database, leases } = context;

  /** Adds what the lease store knows of who is alive. */
  const describe = async (namespace: string, rows: readonly WorkerRow[]): Promise<Worker[]> => {
    if (rows.length === 0) return [];
    // A worker that the store does not know may be alive: it gets its time once more to be heard of.
    const known = await leases.adopt(
      WORKER_LEASES,
      namespace,
      rows.map((row) => ({ key: row.id, fence: row.generation, ttlMs: row.ttl_ms })),
    );
    return rows.map((row, index) => workerFromRow(row, known[index]!));
  };
  const getRow = async (namespace: string, workerId: string): Promise<WorkerRow> => {
    const [row] = await getWorkers(database, namespace, [workerId]);
    if (row === undefined) throw notFound("worker", workerId);
    return row;
  };
  const describeOne = async (namespace: string, row: WorkerRow): Promise<Worker> =>
    (await describe(namespace, [row]))[0]!;
  const getMany = async (namespace: string, workerIds: readonly string[]) =>
    describe(namespace, await getWorkers(database, namespace, workerIds));

  return {
    async register(registration) {
      const row = await registerWorker(database, registration);
      await leases.grant(WORKER_LEASES, row.namespace, [{ key: row.id, fence: row.generation, ttlMs: row.ttl_ms }]);
      return describeOne(row.namespace, row);
    },
    async heartbeat(namespace, workerId) {
      const row = await getRow(namespace, workerId);
      const [deadline] = await leases.grant(WORKER_LEASES, namespace, [
        { key: row.id, fence: row.generation, ttlMs: row.ttl_ms },
      ]);
      // It was registered anew meanwhile.
      if (deadline === undefined) throw notFound("worker", workerId);
      return { state: row.draining ? "DRAINING" : "ACTIVE", expiresAt: new Date(deadline).toISOString() };
    },
    get: async (namespace, workerId) => describeOne(namespace, await getRow(namespace, workerId)),
    getMany,
    async list(namespace, { pageSize, pageToken }) {
      const tokens = createPageTokens(PLACE, ["workers.list", namespace]);
      const place = tokens.decode(pageToken);
      const rows = await listWorkers(database, namespace, place?.after ?? "", pageSize + 1);
      const page = rows.slice(0, pageSize);
      const last = page.at(-1);
      return {
        workers: await describe(namespace, page),
        nextPageToken: rows.length > pageSize && last ? tokens.encode({ after: last.id }) : undefined,
      };
    },
    async drain(namespace, workerId) {
      const row = await drainWorker(database, namespace, workerId);
      if (row === undefined) throw notFound("worker", workerId);
      return describeOne(namespace, row);
    },
    async deregister(namespace, workerId) {
      const row = await deleteWorker(database, namespace, workerId);
      if (row === undefined) throw notFound("worker", workerId);
      await leases.release(WORKER_LEASES, namespace, [{ key: row.id, fence: row.generation }]);
    },
    heldTasks: async (namespace, workerIds) =>
      (await listHeldTasks(database, namespace, workerIds, MAX_HELD_TASKS)).map(taskFromRow),
  };
}

function workerFromRow(row: WorkerRow, { deadlineMs, remainingMs }: RemainingLease): Worker {
  const alive = remainingMs > 0;
  return {
    namespace: row.namespace,
    workerId: row.id,
    state: alive ? (row.draining ? "DRAINING" : "ACTIVE") : "LOST",
    queues: row.queues,
    capabilities: row.capabilities,
    metadata: row.metadata,
    ttlMs: row.ttl_ms,
    registeredAt: row.registered_at.toISOString(),
    expiresAt: new Date(deadlineMs).toISOString(),
  };
}
