import type { AppError } from "../../core/errors.ts";
import type { Exchange } from "../../core/exchange.ts";
import type { Logger } from "../../core/logger.ts";
import type { QueryObserver } from "../postgres/query-observer.ts";

/** The span around one call. */
export interface CallSpan {
  readonly traceId: string;
  /** Runs `work` so that the statements it sends become spans below this one. */
  run<R>(work: () => R): R;
  end(error?: AppError): void;
}

/** Turns calls, and the SQL below them, into spans. */
export interface Tracing {
  /** Begins the span of a call, as a child of the caller's where its `traceparent` names one. */
  begin(exchange: Exchange): CallSpan;
  /** Give it to the database, so that statements within a call are seen. */
  readonly onQuery: QueryObserver;
  /** The trace that the running code belongs to. */
  currentTraceId(): string | undefined;
  /** Sends what is left, and ends within `deadlineMs`. */
  stop(deadlineMs: number): Promise<void>;
}

export interface TracingOptions {
  /** The collector's address; `/v1/traces` is added where it has no path. */
  readonly endpoint: string;
  /** The share of traces to record where the caller has not decided. */
  readonly sampleRatio: number;
  readonly version: string;
  /** Tells this gateway from the others. */
  readonly instanceId: string;
  readonly logger: Logger;
}
