import { ConfigError, loadConfig, printConfig } from "./config/config.ts";
import { AppError } from "./core/errors.ts";
import type { Logger } from "./core/logger.ts";
import { createGateway, type Gateway } from "./gateway.ts";
import { createLogger } from "./platform/telemetry/logger.ts";
import { welcome } from "./welcome.ts";

const EXIT_FAILED = 1;
/** The environment is wrong: starting again changes nothing (sysexits.h, EX_CONFIG). */
const EXIT_CONFIG = 78;

async function main(): Promise<void> {
  if (process.argv.includes("--print-config")) {
    console.log(printConfig());
    return;
  }
  const startedMs = performance.now();
  const config = loadConfig();
  const logger = createLogger({ level: config.logLevel });
  process.on("unhandledRejection", (error) =>
    logger.error({ err: error }, "A promise was rejected and nobody listened."),
  );
  const gateway = await createGateway(config, logger);
  stopOnSignals(gateway, logger, config.shutdownTimeoutMs);
  await gateway.start();
  process.stderr.write(welcome(gateway, config, performance.now() - startedMs));
  logger.info({ ...gateway.addresses, startMs: Math.round(performance.now() - startedMs) }, "The gateway is ready.");
}

/** The first signal drains; a second one ends at once. */
function stopOnSignals(gateway: Gateway, logger: Logger, deadlineMs: number): void {
  let stopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    if (stopping) process.exit(EXIT_FAILED);
    stopping = true;
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
