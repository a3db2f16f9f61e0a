import { createInterface } from "node:readline";
import { type Answer, type RestClient, restClient } from "../e2e/client.ts";

/** What this script takes, as JSON in its argument. */
export interface LoadOptions {
  /** The gateways' addresses; its clients are spread over them and change over when one does not answer. */
  readonly rest: readonly string[];
  readonly key: string;
  /** The namespace's path, e.g. `/namespaces/default`. */
  readonly path: string;
  readonly queue: string;
  readonly enqueuers: number;
  readonly workers: number;
  readonly leaseMs: number;
}

/** What the gateways acknowledged, one line each. */
export interface LoadTold {
  readonly enqueued?: readonly string[];
  readonly completed?: { readonly taskId: string; readonly fence: number };
  /** Written once enqueueing has ended, after everything that was acknowledged. */
  readonly ended?: true;
}

const options = JSON.parse(process.argv[2]!) as LoadOptions;
const queue = `${options.path}/queues/${options.queue}`;
const BATCH = 5;
const LEASED_AT_ONCE = 10;
const PAUSE_MS = 20;
/** No more than this many tasks wait, so that the workers are soon done when enqueueing ends. */
const MAX_WAITING = 100;
const REQUEST_TIMEOUT_MS = 10_000;
const retryPolicy = { maxAttempts: 1000, initialBackoffMs: 0, maxBackoffMs: 0 };
let enqueueing = true;
let waiting = 0;

const tell = (line: LoadTold) => process.stdout.write(`${JSON.stringify(line)}\n`);
const pause = () => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

/** Sends to one gateway until it fails, then to the next. Undefined where there was no answer that says anything. */
function createSender(first: number): (send: (client: RestClient) => Promise<Answer>) => Promise<Answer | undefined> {
  const clients = options.rest.map((rest) => restClient({ rest }, options.key));
  let index = first;
  return async (send) => {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, REQUEST_TIMEOUT_MS, undefined);
    });
    const answer = await Promise.race([send(clients[index % clients.length]!).catch(() => undefined), timeout]);
    clearTimeout(timer);
    if (answer !== undefined && answer.status < 500) return answer;
    index += 1;
    await pause();
    return undefined;
  };
}

async function enqueue(number: number): Promise<void> {
  const send = createSender(number);
  for (let round = 0; enqueueing; round++) {
    while (waiting > MAX_WAITING) await pause();
    const tasks = Array.from({ length: BATCH }, (_, place) => ({ kind: "k", payload: { round, place }, retryPolicy }));
    const answer = await send((client) => client.post(`${queue}/tasks:batchEnqueue`, { tasks }));
    if (answer?.status === 200) {
      waiting += BATCH;
      tell({ enqueued: (answer.body.tasks as { taskId: string }[]).map(({ taskId }) => taskId) });
    }
    await pause();
  }
}

async function work(number: number): Promise<void> {
  const send = createSender(number);
  const request = { workerId: `w${number}`, leaseMs: options.leaseMs, maxTasks: LEASED_AT_ONCE, waitMs: 500 };
  for (;;) {
    const leased = await send((client) => client.post(`${queue}/tasks:lease`, request));
    const tasks = (leased?.status === 200 ? leased.body.tasks : []) as { taskId: string; fence: number }[];
    for (const { taskId, fence } of tasks) {
      // Without an answer nobody knows: the same completion is sent again until there is one.
      let answer: Answer | undefined;
      while (answer === undefined) {
        answer = await send((client) =>
          client.post(`${options.path}/tasks/${taskId}:complete`, { fence, result: number }),
        );
      }
      waiting -= 1;
      if (answer.status === 200) tell({ completed: { taskId, fence } });
    }
  }
}

for (let number = 0; number < options.workers; number++) void work(number);
const enqueuers = Array.from({ length: options.enqueuers }, (_, number) => enqueue(number));
for await (const word of createInterface({ input: process.stdin })) {
  if (word !== "stop enqueueing") continue;
  enqueueing = false;
  await Promise.all(enqueuers);
  tell({ ended: true });
}
