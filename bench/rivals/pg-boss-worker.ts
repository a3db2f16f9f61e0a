import { setTimeout as delay } from "node:timers/promises";
import PgBoss from "pg-boss";
import { QUEUE } from "./pg-boss.ts";
import { BATCH, WORKERS } from "./task-system.ts";
import { onOrder, reportCompleted } from "./worker-process.ts";

const POLL_MS = 5;

const boss = new PgBoss({ connectionString: process.argv[2]!, schedule: false, supervise: false });
boss.on("error", (error) => console.error(error));
await boss.start();
let isWorking = false;
let completed = 0;
onOrder((order) => {
  isWorking = order === "work";
});
reportCompleted(() => completed);

async function work(): Promise<never> {
  for (;;) {
    const jobs = isWorking ? await boss.fetch(QUEUE, { batchSize: BATCH }) : [];
    if (jobs.length === 0) {
      await delay(POLL_MS);
      continue;
    }
    await boss.complete(
      QUEUE,
      jobs.map(({ id }) => id),
    );
    completed += jobs.length;
  }
}

for (let index = 0; index < WORKERS; index += 1) void work();
process.stdout.write("ready\n");
