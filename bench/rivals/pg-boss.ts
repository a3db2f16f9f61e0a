import PgBoss from "pg-boss";
import type { Bench } from "../harness/bench.ts";
import { payload } from "../load/payload.ts";
import { BATCH, type TaskSystem } from "./task-system.ts";
import { startWorkerProcess } from "./worker-process.ts";

export const QUEUE = "bench";

/** pg-boss on the same Postgres, with insert, fetch and complete in batches: the fastest it offers. */
export async function createPgBossSystem(bench: Bench): Promise<TaskSystem> {
  const connectionString = await bench.createDatabase();
  const boss = new PgBoss({ connectionString, schedule: false });
  boss.on("error", (error) => bench.progress(`pg-boss: ${error.message}`));
  await boss.start();
  await boss.createQueue(QUEUE);
  bench.defer(() => boss.stop({ graceful: false }));
  const workers = await startWorkerProcess(bench, "./pg-boss-worker.ts", connectionString);
  const jobs = Array.from({ length: BATCH }, () => ({ name: QUEUE, data: payload }));
  return {
    name: "pg-boss",
    pid: workers.pid,
    isAsDurable: true,
    begin: async () => workers.tell("work"),
    async enqueueBatch() {
      await boss.insert(jobs);
      return BATCH;
    },
    completed: workers.completed,
    check: () => {},
    end: async () => workers.tell("rest"),
  };
}
