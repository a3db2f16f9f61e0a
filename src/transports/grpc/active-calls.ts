import type { AppError } from "../../core/errors.ts";

/** A call under way, as far as draining needs to know it. */
export interface ActiveCall {
  /** Whether it ends by itself soon. Streams do not. */
  readonly kind: "unary" | "stream";
  /** Aborts the call and answers it with `error`. Changes nothing once it has been answered. */
  fail(error: AppError): void;
}

/** The calls that are under way. */
export interface ActiveCalls {
  add(call: ActiveCall): void;
  delete(call: ActiveCall): void;
  fail(kind: ActiveCall["kind"], error: AppError): void;
  readonly size: number;
}

export function createActiveCalls(): ActiveCalls {
  const calls = new Set<ActiveCall>();
  return {
    add: (call) => calls.add(call),
    delete: (call) => calls.delete(call),
    fail(kind, error) {
      for (const call of [...calls]) if (call.kind === kind) call.fail(error);
    },
    get size() {
      return calls.size;
    },
  };
}
