import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Logger } from "../../core/logger.ts";
import { createRequestMetrics, type RequestMetrics } from "./request-metrics.ts";

/** One value of a gauge. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface GaugeOptions {
  /** `tarl_…`, with its unit at the end. */
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Asked at each scrape. One that fails or takes too long is left out of that scrape, and logged. */
  readonly collect: () => Promise<readonly Sample[]>;
}

export interface CounterOptions {
  /** `tarl_…_total`. */
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

export interface Metrics {
  readonly requests: RequestMetrics;
  /** Adds a gauge whose values are read when somebody scrapes. */
  gauge(options: GaugeOptions): void;
  /** Adds a counter and answers the function that counts. */
  counter(options: CounterOptions): (labels: Readonly<Record<string, string>>, by?: number) => void;
  /** Everything, as /metrics answers it. */
  render(): Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface MetricsOptions {
  readonly logger: Logger;
  /** Also tell of the process: CPU, memory, event loop, garbage collection. */
  readonly processMetrics?: boolean;
  readonly collectTimeoutMs?: number;
}

/** More label sets than this in one metric would cost the scraper more than they tell. */
const MAX_SERIES = 2_000;
const DEFAULT_COLLECT_TIMEOUT_MS = 3_000;
const EVENT_LOOP_PRECISION_MS = 20;

export function createMetrics(options: MetricsOptions): Metrics {
  const { logger, collectTimeoutMs = DEFAULT_COLLECT_TIMEOUT_MS } = options;
  const registry = new Registry();
  const requests = createRequestMetrics();
  if (options.processMetrics) {
    collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS });
  }

  return {
    requests,
    gauge({ name, help, labels, collect }) {
      new Gauge({
        name,
        help,
        labelNames: [...labels],
        registers: [registry],
        async collect() {
          this.reset();
          try {
            const samples = await withTimeout(collect(), collectTimeoutMs);
            if (samples.length > MAX_SERIES) {
              logger.warn({ metric: name, series: samples.length }, `Only ${MAX_SERIES} series of a metric are shown.`);
            }
            for (const sample of samples.slice(0, MAX_SERIES)) this.set(sample.labels, sample.value);
          } catch (error) {
            logger.warn({ metric: name, err: error }, "A metric could not be collected.");
          }
        },
      });
    },
    counter({ name, help, labels }) {
      const counter = new Counter({ name, help, labelNames: [...labels], registers: [registry] });
      const seen = new Set<string>();
      return (values, by = 1) => {
        const key = labels.map((label) => values[label]).join("\u0000");
        if (!seen.has(key)) {
          if (seen.size >= MAX_SERIES) return;
          seen.add(key);
        }
        counter.inc(values, by);
      };
    },
    async render() {
      return { contentType: registry.contentType, text: requests.text() + (await registry.metrics()) };
    },
  };
}

function withTimeout<T>(work: Promise<T>, timeoutMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`It took longer than ${timeoutMs} ms.`)), timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
