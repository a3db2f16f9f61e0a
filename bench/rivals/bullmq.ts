import { Queue } from "bullmq";
import { Redis } from "ioredis";
import { startRedis } from "../../test/support/redis-server.ts";
import type { Bench } from "../harness/bench.ts";
import { payload } from "../load/payload.ts";
import { BATCH, type TaskSystem } from "./task-system.ts";
import { startWorkerProcess } from "./worker-process.ts";

export const QUEUE = "bench";

/** BullMQ on a Redis that writes what it acknowledges to disk first, and on one that does so every second. */
export async function createBullmqSystems(bench: Bench): Promise<TaskSystem[]> {
  return [
    await createSystem(bench, "BullMQ, appendfsync always", "always"),
    await createSystem(bench, "BullMQ, appendfsync everysec", "everysec"),
  ];
}

async function createSystem(bench: Bench, name: string, appendfsync: "always" | "everysec"): Promise<TaskSystem> {
  const redis = await startRedis({ settings: { appendonly: "yes", appendfsync } });
  bench.defer(() => redis.stop());
  const connection = new Redis(redis.url, { maxRetriesPerRequest: null });
  const queue = new Queue(QUEUE, { connection });
  bench.defer(async () => {
    await queue.close();
    connection.disconnect();
  });
  const workers = await startWorkerProcess(bench, "./bullmq-worker.ts", redis.url);
  const jobs = Array.from({ length: BATCH }, () => ({ name: "bench", data: payload }));
  return {
    name,
    pid: workers.pid,
    isAsDurable: appendfsync === "always",
    begin: async () => {},
    async enqueueBatch() {
      await queue.addBulk(jobs);
      return BATCH;
    },
    completed: workers.completed,
    check: () => {},
    end: async () => {},
  };
}
