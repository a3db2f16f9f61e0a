import { Worker } from "bullmq";
import { Redis } from "ioredis";
import { QUEUE } from "./bullmq.ts";
import { BATCH, WORKERS } from "./task-system.ts";
import { reportCompleted } from "./worker-process.ts";

/** BullMQ has no batches on this side; as many jobs at a time as the others' workers hold. */
const connection = new Redis(process.argv[2]!, { maxRetriesPerRequest: null });
const worker = new Worker(QUEUE, async () => null, { connection, concurrency: BATCH * WORKERS });
let completed = 0;
worker.on("completed", () => {
  completed += 1;
});
worker.on("error", (error) => console.error(error));
reportCompleted(() => completed);
await worker.waitUntilReady();
process.stdout.write("ready\n");
