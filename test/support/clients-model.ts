import type { ErrorCode, FieldViolation, QuotaViolation } from "../../src/core/errors.ts";
import { operations } from "../../src/operations.ts";

export const PROTOCOLS = ["rest", "grpc", "graphql"] as const;
export type ProtocolName = (typeof PROTOCOLS)[number];

export type Input = Record<string, unknown>;

export interface CallOptions {
  /** The whole value, e.g. `Bearer tarl_…`. */
  readonly authorization?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  /** The deadline that the gateway is told; the client itself waits longer. */
  readonly timeoutMs?: number | undefined;
}

export interface Failure {
  readonly ok: false;
  readonly code: ErrorCode;
  readonly reason: string;
  readonly message: string;
  readonly details: {
    readonly fields?: readonly FieldViolation[];
    readonly quota?: QuotaViolation;
    readonly metadata?: Readonly<Record<string, string>>;
  };
  readonly retryAfterMs?: number;
}

export interface Success {
  readonly ok: true;
  readonly output: Record<string, unknown>;
}

export type Outcome = Success | Failure;

/** One thing a stream said. `failure` and `end` are the last. */
export type StreamItem =
  | { readonly kind: "message"; readonly output: Record<string, unknown> }
  | { readonly kind: "failure"; readonly failure: Failure }
  | { readonly kind: "end" };

export interface StreamReader {
  /** The next item; fails where none comes in time. */
  next(): Promise<StreamItem>;
  close(): void;
}

/** One protocol as a client sees it. A call that is not answered in time fails: that is a hang. */
export interface ProtocolClient {
  readonly protocol: ProtocolName;
  call(operation: string, input: Input, options?: CallOptions): Promise<Outcome>;
  /** Opens a server stream in each way that the protocol has, by the way's name. */
  readonly streams: Readonly<Record<string, (operation: string, input: Input, options?: CallOptions) => StreamReader>>;
  close(): void;
}

/** Longer than anything a test waits for. */
export const HANG_MS = 15_000;

export function operationNamed(name: string) {
  const found = operations.find((operation) => operation.name === name);
  if (!found) throw new Error(`There is no operation ${name}.`);
  return found;
}

/** The same, for those that are not gRPC's alone. */
export function routedOperation(name: string) {
  const found = operationNamed(name);
  if (found.kind === "bidi") throw new Error(`${name} is offered over gRPC alone.`);
  return found;
}
