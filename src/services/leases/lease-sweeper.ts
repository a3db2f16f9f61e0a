import type { Component } from "../../core/lifecycle.ts";
import type { Logger } from "../../core/logger.ts";
import type { LeaseService } from "./lease-service.ts";

export interface LeaseSweeperOptions {
  readonly leases: LeaseService;
  readonly logger: Logger;
  readonly everyMs?: number;
}

const SWEEP_EVERY_MS = 500;
const REMOVE_EVERY_MS = 3_600_000;

/** Frees leases within a second of their end. Every gateway may run one: freeing twice changes nothing. */
export function createLeaseSweeper({ leases, logger, everyMs = SWEEP_EVERY_MS }: LeaseSweeperOptions): Component {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let removedAtMs = Number.NEGATIVE_INFINITY;

  const sweep = async () => {
    try {
      await leases.sweep();
      if (performance.now() - removedAtMs < REMOVE_EVERY_MS) return;
      removedAtMs = performance.now();
      await leases.removeFreed();
    } catch (error) {
      logger.warn({ err: error }, "Leases that ran out could not be freed; trying again.");
    }
  };

  return {
    name: "lease-sweeper",
    async start() {
      timer ??= setInterval(() => {
        running ??= sweep().finally(() => {
          running = undefined;
        });
      }, everyMs);
    },
    async stop() {
      clearInterval(timer);
      timer = undefined;
      await running;
    },
  };
}
