import { setLogger } from "@grpc/grpc-js";
import type { Logger } from "../../core/logger.ts";

/**
 * Has what grpc-js logs by itself written to our log, for the whole process: it has one logger. It puts
 * the metadata that it could not read into its lines, credentials too, so that only what stands before
 * the first colon is kept, and nothing of its traces.
 */
export function logGrpcJs(logger: Logger): void {
  const write = (text: unknown) => logger.debug({}, `grpc-js: ${String(text).split(":")[0]!.slice(0, 200)}`);
  setLogger({ error: write, info: write, debug: () => {} });
}
