import { setTimeout as delay } from "node:timers/promises";
import type { Bench, Case } from "../harness/bench.ts";
import { percentile } from "../harness/figures.ts";
import { type BenchGateway, startGateway, startSecondGateway } from "../harness/gateway.ts";
import type { Row } from "../harness/row.ts";
import { encodeRequest, openHttpConnection } from "../load/http-connection.ts";
import { payload } from "../load/payload.ts";

const TARGET_MS = 20;
const SAMPLES_PER_SECOND = 200;
const WARM_UP_SAMPLES = 50;
const POLL_WAIT_MS = 10_000;
/** Long enough for the poll to have found nothing and to wait, when the task comes. */
const SETTLE_MS = 8;

interface LeaseAnswer {
  readonly tasks: readonly { readonly taskId: string; readonly fence: number }[];
}

/** From a new task to the worker that waits for it in a long poll. */
interface WakeUp {
  /** From when the enqueue was sent. */
  readonly sinceSentMs: number;
  /** From when the enqueue was answered; below zero where the worker heard first. */
  readonly sinceAnsweredMs: number;
}

export const wakeUpCase: Case = {
  name: "wake-up",
  async run(bench) {
    const options = { name: "wake-up", databaseUrl: await bench.createDatabase() };
    const first = await startGateway(bench, options);
    const second = await startSecondGateway(bench, first, { ...options, name: "wake-up-second" });
    const samples = Math.ceil(bench.options.seconds * SAMPLES_PER_SECOND);
    return [
      ...rowsOf("in one gateway", await measure(bench, first, first, "one", samples)),
      ...rowsOf("across two gateways", await measure(bench, first, second, "two", samples)),
    ];
  },
};

async function measure(
  bench: Bench,
  producer: BenchGateway,
  worker: BenchGateway,
  queue: string,
  samples: number,
): Promise<WakeUp[]> {
  const headers = { authorization: `Bearer ${producer.key}` };
  const root = `/v1/namespaces/${producer.namespace}`;
  const post = (path: string, body: object) => encodeRequest({ method: "POST", path: root + path, headers, body });
  const enqueue = post(`/queues/${queue}/tasks`, { kind: "bench", payload });
  const lease = post(`/queues/${queue}/tasks:lease`, { workerId: "waiting", maxTasks: 1, waitMs: POLL_WAIT_MS });
  const sender = await openHttpConnection(producer.rest);
  const waiter = await openHttpConnection(worker.rest);
  bench.defer(async () => {
    sender.close();
    waiter.close();
  });

  const once = async (): Promise<WakeUp> => {
    const leased = waiter.sendJson<LeaseAnswer>(lease).then((answer) => ({ answer, atMs: performance.now() }));
    await delay(SETTLE_MS);
    const sentMs = performance.now();
    await sender.sendJson(enqueue);
    const answeredMs = performance.now();
    const { answer, atMs } = await leased;
    const [task] = answer.tasks;
    if (!task) throw new Error("The worker waited in vain for a task that was enqueued.");
    await waiter.sendJson(post(`/tasks/${task.taskId}:complete`, { fence: task.fence }));
    return { sinceSentMs: atMs - sentMs, sinceAnsweredMs: atMs - answeredMs };
  };
  for (let sample = 0; sample < WARM_UP_SAMPLES; sample += 1) await once();
  const wakeUps: WakeUp[] = [];
  for (let sample = 0; sample < samples; sample += 1) wakeUps.push(await once());
  return wakeUps;
}

function rowsOf(where: string, wakeUps: readonly WakeUp[]): Row[] {
  const row = (from: string, times: readonly number[], share: number): Row => {
    const value = percentile(times, share);
    const isTail = share > 0.5;
    return {
      case: "wake-up",
      what: `Wake-up of a waiting worker ${where}, from ${from}, p${share * 100} of ${times.length}`,
      unit: "ms",
      gateway: { median: value, low: value, high: value },
      ...(isTail && { target: `< ${TARGET_MS} ms`, met: value < TARGET_MS }),
    };
  };
  const sent = wakeUps.map(({ sinceSentMs }) => sinceSentMs);
  const answered = wakeUps.map(({ sinceAnsweredMs }) => sinceAnsweredMs);
  return [0.5, 0.99].flatMap((share) => [row("sending the enqueue", sent, share), row("its answer", answered, share)]);
}
