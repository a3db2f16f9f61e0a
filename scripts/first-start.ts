/**
 * What an install does so that a first start need not: makes the migrated, empty database which a
 * new data folder is copied from, and starts the gateway once on a copy of it, in a temporary folder,
 * so that Node keeps what it compiles. With --template only the former.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../src/config/config.ts";
import { createGateway } from "../src/gateway.ts";
import { createPgliteDatabase } from "../src/platform/postgres/pglite-database.ts";
import { makePgliteTemplate } from "../src/platform/postgres/pglite-template.ts";
import { createLogger } from "../src/platform/telemetry/logger.ts";
import { embeddedTemplateDir, MIGRATIONS } from "../src/stores.ts";

const STOP_WITHIN_MS = 5_000;

async function startOnce(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "tarl-first-start-"));
  try {
    const config = loadConfig({
      TARL_DATA_DIR: join(folder, "data"),
      TARL_REST_PORT: "0",
      TARL_GRAPHQL_PORT: "0",
      TARL_GRPC_PORT: "0",
      TARL_LOG_LEVEL: "silent",
    });
    const gateway = await createGateway(config, createLogger({ level: config.logLevel }));
    await gateway.start();
    await gateway.stop(STOP_WITHIN_MS);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

await makePgliteTemplate(embeddedTemplateDir(), MIGRATIONS, (dataDir) => createPgliteDatabase({ dataDir }));
if (!process.argv.includes("--template")) await startOnce();
process.exit(0);
