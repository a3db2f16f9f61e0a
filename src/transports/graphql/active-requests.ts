import { gatewayDraining } from "../gateway-draining.ts";
import { abortContext, type GraphqlContext } from "./context.ts";

/** The requests under way, so that a drain can end the streams and wait for the rest. */
export interface ActiveRequests {
  readonly isDraining: boolean;
  add(context: GraphqlContext): void;
  delete(context: GraphqlContext): void;
  /** A subscription's context: it would never end by itself, so a drain ends it at once. */
  markStream(context: GraphqlContext): void;
  /** Ends streams now and everything else at the deadline; resolves when nothing is left. */
  drain(deadlineMs: number): Promise<void>;
}

export function createActiveRequests(): ActiveRequests {
  const contexts = new Set<GraphqlContext>();
  const streams = new WeakSet<GraphqlContext>();
  let isDraining = false;
  let onEmpty: (() => void) | undefined;

  return {
    get isDraining() {
      return isDraining;
    },
    add: (context) => void contexts.add(context),
    delete(context) {
      contexts.delete(context);
      if (contexts.size === 0) onEmpty?.();
    },
    markStream(context) {
      streams.add(context);
      if (isDraining) abortContext(context, gatewayDraining());
    },
    async drain(deadlineMs) {
      isDraining = true;
      for (const context of contexts) if (streams.has(context)) abortContext(context, gatewayDraining());
      if (contexts.size === 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(() => {
          for (const context of contexts) abortContext(context, gatewayDraining());
          resolve();
        }, deadlineMs);
        onEmpty = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
  };
}
