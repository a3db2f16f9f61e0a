import { randomUUID } from "node:crypto";
import { ConfigError, loadConfig, printConfig } from "./config/config.ts";
import { AppError } from "./core/errors.ts";
import type { Logger } from "./core/logger.ts";
import { createGateway, type Gateway, readVersion, renewAdminKey } from "./gateway.ts";
import { createLogger } from "./platform/telemetry/logger.ts";
import { startTracing } from "./platform/telemetry/start-tracing.ts";
import type { Tracing } from "./platform/telemetry/tracing.ts";
import { welcome } from "./welcome.ts";

const EXIT_FAILED = 1;
/** The environment is wrong: starting again changes nothing (sysexits.h, EX_CONFIG). */
const EXIT_CONFIG = 78;
/** systemd, timeout and terminals signal a whole group of processes, so one wish may come twice. */
const SAME_SIGNAL_MS = 500;

async function main(): Promise<void> {
  if (process.argv.includes("--print-config")) return console.log(printConfig());
  const startedMs = performance.now();
  const config = loadConfig();
  let tracing: Tracing | undefined;
  const logger = createLogger({ level: config.logLevel, traceId: () => tracing?.currentTraceId() });
  if (process.argv.includes("--renew-admin-key")) {
    return console.log(`The new admin key is in ${await renewAdminKey(config, logger)}. Earlier ones are revoked.`);
  }
  process.on("unhandledRejection", (error) => logger.error({ err: error }, "A promise was rejected unheard."));
  if (config.otlpEndpoint !== undefined) {
    tracing = await startTracing({
      endpoint: config.otlpEndpoint,
      sampleRatio: config.traceSampleRatio,
      version: await readVersion(),
      instanceId: randomUUID(),
      logger,
    });
  }
  const gateway = await createGateway(config, logger, { tracing });
  stopOnSignals(gateway, logger, config.shutdownTimeoutMs);
  await gateway.start();
  const startMs = performance.now() - startedMs;
  process.stderr.write(welcome(gateway, config, startMs));
  logger.info({ ...gateway.addresses, startMs: Math.round(startMs) }, "The gateway is ready.");
}

/** The first signal drains; a second one ends at once. */
function stopOnSignals(gateway: Gateway, logger: Logger, deadlineMs: number): void {
  let stoppingSinceMs: number | undefined;
  const stop = async (signal: NodeJS.Signals) => {
    const nowMs = performance.now();
    if (stoppingSinceMs !== undefined) {
      if (nowMs - stoppingSinceMs > SAME_SIGNAL_MS) process.exit(EXIT_FAILED);
      return;
    }
    stoppingSinceMs = nowMs;
    logger.info({ signal }, "Draining; a second signal ends at once.");
    await gateway.stop(deadlineMs);
    logger.info({}, "The gateway has stopped.");
    process.exit(0);
  };
  process.on("SIGTERM", (signal) => void stop(signal));
  process.on("SIGINT", (signal) => void stop(signal));
}

try {
  await main();
} catch (error) {
  const known = error instanceof ConfigError || error instanceof AppError;
  console.error(known ? error.message : error);
  process.exit(error instanceof ConfigError ? EXIT_CONFIG : EXIT_FAILED);
}
