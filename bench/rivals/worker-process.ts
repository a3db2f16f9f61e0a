import { fileURLToPath } from "node:url";
import type { Bench } from "../harness/bench.ts";
import { PRODUCTION, startChild } from "../harness/child.ts";

/** A rival's workers, in a process on the core where the gateway works otherwise. */
export interface WorkerProcess {
  readonly pid: number;
  completed(): number;
  tell(order: WorkerOrder): void;
}

export type WorkerOrder = "work" | "rest";

export async function startWorkerProcess(bench: Bench, file: string, url: string): Promise<WorkerProcess> {
  const child = await startChild<true>({
    command: process.execPath,
    args: [fileURLToPath(new URL(file, import.meta.url)), url],
    env: PRODUCTION,
    ready: (line) => (line === "ready" ? true : undefined),
    cores: bench.cores?.server,
  });
  bench.defer(() => child.stop());
  let completed = 0;
  child.onMessage((message) => {
    completed = (message as { completed: number }).completed;
  });
  return { pid: child.pid, completed: () => completed, tell: (order) => child.send({ order }) };
}

const REPORT_INTERVAL_MS = 5;

/** In the worker's process: tells how many tasks have been completed whenever that has changed. */
export function reportCompleted(completed: () => number): void {
  let told = 0;
  setInterval(() => {
    if (completed() === told) return;
    told = completed();
    process.send?.({ completed: told });
  }, REPORT_INTERVAL_MS);
}

/** In the worker's process: hears when to work and when to rest. */
export function onOrder(listener: (order: WorkerOrder) => void): void {
  process.on("message", (message) => listener((message as { order: WorkerOrder }).order));
}
