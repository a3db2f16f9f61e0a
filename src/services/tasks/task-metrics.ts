import type { Queryable } from "../../platform/postgres/database.ts";
import type { Metrics } from "../../platform/telemetry/metrics.ts";
import { type QueueDepth, readDepths } from "./store/queues.ts";

const MAX_QUEUES = 500;

const GAUGES: readonly { name: string; help: string; value: (depth: QueueDepth) => number }[] = [
  { name: "tarl_queue_ready_tasks", help: "Tasks that wait for a worker.", value: (depth) => depth.ready },
  { name: "tarl_queue_scheduled_tasks", help: "Tasks that wait for their time.", value: (depth) => depth.scheduled },
  { name: "tarl_queue_leased_tasks", help: "Tasks that are leased.", value: (depth) => depth.leased },
  { name: "tarl_queue_dead_letters", help: "Dead letters.", value: (depth) => depth.dead_lettered },
  { name: "tarl_queue_leases", help: "Leases given since the queue was made.", value: (depth) => depth.leased_total },
  {
    name: "tarl_queue_expired_leases",
    help: "Leases that ran out since the queue was made.",
    value: (depth) => depth.expired_total,
  },
];

/** The depth of the deepest queues and what became of their leases. One scrape reads the counters once. */
export function addTaskMetrics(metrics: Metrics, database: Queryable): void {
  let reading: Promise<QueueDepth[]> | undefined;
  const read = () => {
    reading ??= readDepths(database, MAX_QUEUES).finally(() => {
      reading = undefined;
    });
    return reading;
  };
  for (const { name, help, value } of GAUGES) {
    metrics.gauge({
      name,
      help,
      labels: ["namespace", "queue"],
      collect: async () =>
        (await read()).map((depth) => ({
          labels: { namespace: depth.namespace, queue: depth.queue },
          value: value(depth),
        })),
    });
  }
}
