import { AppError } from "./errors.ts";
import { ANONYMOUS, type Principal } from "./principal.ts";

export type Protocol = "rest" | "grpc" | "graphql";

/** What a namespace allows, as far as every call needs to know it. */
export interface NamespaceScope {
  readonly name: string;
  readonly isolation: "STRICT" | "SHARED" | "NONE";
  readonly quotas: NamespaceQuotas;
}

/** Limits of a namespace; an absent one is unlimited. */
export interface NamespaceQuotas {
  readonly maxWorkflows?: number | undefined;
  readonly maxConcurrentExecutions?: number | undefined;
  readonly maxQueueDepth?: number | undefined;
  readonly maxStorageMb?: number | undefined;
  readonly rateLimitPerMinute?: number | undefined;
}

/** Where the caller stands with its rate limit; the transports write it into their answers. */
export interface RateLimitState {
  readonly limit: number;
  readonly windowSeconds: number;
  readonly remaining: number;
  readonly resetSeconds: number;
}

/** What a transport knows of a request before anything is checked. */
export interface IncomingCall {
  readonly protocol: Protocol;
  /** The value of the Authorization header or metadata, e.g. `Bearer tarl_…`. */
  readonly authorization?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly tracestate?: string | undefined;
  /** How long the client is willing to wait, in milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** The client's address, for logs. */
  readonly peer?: string | undefined;
  /** The client's own name for the request; one is made where it is absent. */
  readonly requestId?: string | undefined;
}

/**
 * One request on its way down and up. Interceptors fill in what they learn; services read it.
 * A transport calls `abort` when the client goes away.
 */
export class Call {
  readonly incoming: IncomingCall;
  readonly protocol: Protocol;
  requestId = "";
  /** W3C trace id of the span around this call; empty while tracing is off and none came in. */
  traceId = "";
  principal: Principal = ANONYMOUS;
  /** Set for operations whose input names a namespace. */
  namespace: NamespaceScope | undefined;
  rateLimit: RateLimitState | undefined;

  // Most unary calls never look at their signal, and making one costs microseconds.
  #controller: AbortController | undefined;
  #abortReason: AppError | undefined;
  #abortListeners: ((reason: AppError) => void)[] | undefined;
  #delivery: "PENDING" | "DELIVERED" | "UNDELIVERED" = "PENDING";
  #undos: (() => unknown)[] | undefined;

  constructor(incoming: IncomingCall) {
    this.incoming = incoming;
    this.protocol = incoming.protocol;
  }

  /** Fires when the client has gone, the deadline has passed or the gateway drains. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** The error the call was aborted with, if it was. */
  get abortReason(): AppError | undefined {
    return this.#abortReason;
  }

  /**
   * Calls `listener` when the call is aborted, or at once if it already was. For the layers around
   * an operation, which live exactly as long as the call: it costs far less than `signal`.
   */
  onAbort(listener: (reason: AppError) => void): void {
    if (this.#abortReason) {
      listener(this.#abortReason);
      return;
    }
    this.#abortListeners ??= [];
    this.#abortListeners.push(listener);
  }

  abort(
    reason = new AppError("CANCELLED", "CLIENT_CLOSED", "The client closed the request before it was answered."),
  ): void {
    if (this.#abortReason) return;
    this.#abortReason = reason;
    this.#controller?.abort(reason);
    const listeners = this.#abortListeners;
    this.#abortListeners = undefined;
    for (const listener of listeners ?? []) listener(reason);
  }

  /**
   * Registers how to take back what an answer grants, for operations with one answer: `undo` runs
   * once when the transport could not hand that answer over, be it that the client has gone or that
   * it was told of an error instead, e.g. of its deadline; at once where that is known already.
   *
   * It is done as well as it can be: bytes that the system took for a client that never read them
   * count as handed over, and an undo that fails is not tried again, so what is granted must end by
   * itself too. An answer that is kept under an idempotency key is not undone: the client asks again.
   */
  onUndelivered(undo: () => unknown): void {
    if (this.#delivery === "DELIVERED" || this.incoming.idempotencyKey !== undefined) return;
    this.#undos ??= [];
    this.#undos.push(undo);
    if (this.#delivery === "UNDELIVERED") this.#runUndos();
  }

  /** For transports: the answer has been handed over. */
  delivered(): void {
    if (this.#delivery !== "PENDING") return;
    this.#delivery = "DELIVERED";
    this.#undos = undefined;
  }

  /** For transports: the operation's answer does not reach the client, and never will. */
  undelivered(): void {
    if (this.#delivery !== "PENDING") return;
    this.#delivery = "UNDELIVERED";
    this.#runUndos();
  }

  #runUndos(): void {
    const undos = this.#undos;
    this.#undos = undefined;
    for (const undo of undos ?? []) {
      (async () => undo())().catch(() => {
        // What was granted ends by itself, only later.
      });
    }
  }
}
