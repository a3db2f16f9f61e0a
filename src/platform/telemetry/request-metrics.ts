import type { Protocol } from "../../core/call.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { AnyOperation } from "../../core/operation.ts";

/** How one operation fares over one protocol. */
export interface RequestSeries {
  begin(): void;
  end(code: ErrorCode | "OK", durationMs: number): void;
}

/** Counts and times requests. There are as many series as operations and protocols, whatever clients send. */
export interface RequestMetrics {
  seriesOf(operation: AnyOperation, protocol: Protocol): RequestSeries;
  /** Counts a request that was refused before it reached any operation, under the operation "none". */
  refused(protocol: Protocol, code: ErrorCode): void;
  /** In the Prometheus text format. */
  text(): string;
}

/** Upper bounds of the histogram's buckets, in seconds. Long polls take up to 30 s. */
const BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 35];
const BUCKETS_MS = BUCKETS_SECONDS.map((seconds) => seconds * 1000);

interface Totals extends RequestSeries {
  readonly labels: string;
  readonly isTimed: boolean;
  readonly codes: Map<string, number>;
  /** Not cumulative; the last one is for what is longer than every bound. */
  readonly buckets: number[];
  sumMs: number;
  active: number;
}

/**
 * Plain counters instead of prom-client's, which hash their labels at every observation: 0.02 µs
 * for a request against 1.0 µs with its bound children (Node 24).
 */
export function createRequestMetrics(): RequestMetrics {
  const byOperation = new Map<AnyOperation, Partial<Record<Protocol, Totals>>>();
  const refusals = new Map<string, number>();
  return {
    seriesOf(operation, protocol) {
      let byProtocol = byOperation.get(operation);
      if (byProtocol === undefined) {
        byProtocol = {};
        byOperation.set(operation, byProtocol);
      }
      let totals = byProtocol[protocol];
      if (totals === undefined) {
        totals = createTotals(operation, protocol);
        byProtocol[protocol] = totals;
      }
      return totals;
    },
    refused(protocol, code) {
      const labels = `operation="none",protocol="${protocol}",code="${code}"`;
      refusals.set(labels, (refusals.get(labels) ?? 0) + 1);
    },
    text: () =>
      render(
        [...byOperation.values()].flatMap((byProtocol) => Object.values(byProtocol)),
        refusals,
      ),
  };
}

function createTotals(operation: AnyOperation, protocol: Protocol): Totals {
  return {
    labels: `operation="${operation.name}",protocol="${protocol}"`,
    // How long a stream is watched says nothing of how fast the gateway is.
    isTimed: operation.kind === "unary",
    codes: new Map(),
    buckets: new Array<number>(BUCKETS_MS.length + 1).fill(0),
    sumMs: 0,
    active: 0,
    begin() {
      this.active += 1;
    },
    end(code, durationMs) {
      this.active -= 1;
      this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
      let bucket = 0;
      while (bucket < BUCKETS_MS.length && durationMs > BUCKETS_MS[bucket]!) bucket += 1;
      this.buckets[bucket]! += 1;
      this.sumMs += durationMs;
    },
  };
}

function render(series: readonly Totals[], refusals: ReadonlyMap<string, number>): string {
  return [
    ...family("tarl_requests_total", "counter", "Requests answered, by their code.", series, (one) =>
      [...one.codes].map(([code, count]) => `tarl_requests_total{${one.labels},code="${code}"} ${count}`),
    ),
    ...[...refusals].map(([labels, count]) => `tarl_requests_total{${labels}} ${count}`),
    ...family("tarl_requests_active", "gauge", "Requests and streams under way.", series, (one) => [
      `tarl_requests_active{${one.labels}} ${one.active}`,
    ]),
    ...family(
      "tarl_request_duration_seconds",
      "histogram",
      "How long requests with one answer took.",
      series.filter((one) => one.isTimed),
      histogramLines,
    ),
    "",
  ].join("\n");
}

function family(
  name: string,
  type: string,
  help: string,
  series: readonly Totals[],
  lines: (one: Totals) => string[],
): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...series.flatMap(lines)];
}

function histogramLines({ labels, buckets, sumMs }: Totals): string[] {
  const name = "tarl_request_duration_seconds";
  let count = 0;
  const lines = buckets.map((inBucket, index) => {
    count += inBucket;
    return `${name}_bucket{${labels},le="${BUCKETS_SECONDS[index] ?? "+Inf"}"} ${count}`;
  });
  return [...lines, `${name}_sum{${labels}} ${sumMs / 1000}`, `${name}_count{${labels}} ${count}`];
}
