import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type GatewayProcess,
  restartablePort,
  runMain,
  showGatewaysOnFailure,
  startGateway,
} from "../support/gateway-process.ts";
import { restClient } from "./client.ts";

showGatewaysOnFailure();

const EXIT_CONFIG = 78;
const ANY_PORTS = { TARL_REST_PORT: "0", TARL_GRAPHQL_PORT: "0", TARL_GRPC_PORT: "0" };

let dir = "";
let gateway: GatewayProcess | undefined;
let squatter: Server | undefined;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tarl-start-"));
});
afterEach(async () => {
  await gateway?.remove();
  squatter?.close();
  gateway = squatter = undefined;
  await rm(dir, { recursive: true, force: true });
});

test("a wrong configuration names everything that is wrong with it and ends with 78", async () => {
  const { code, stdout, stderr } = await runMain(dir, {
    TARL_REST_PORT: "eighty",
    TARL_LOGLEVEL: "info",
    TARL_DATABASE_URL: "mysql://user:hunter2@host/db",
  });
  expect(code).toBe(EXIT_CONFIG);
  expect(stdout).toBe("");
  expect(stderr).toContain("TARL_REST_PORT must be a whole number from 0 to 65535");
  expect(stderr).toContain("TARL_LOGLEVEL is not a variable of the gateway. Did you mean TARL_LOG_LEVEL?");
  expect(stderr).toContain("TARL_DATABASE_URL must look like postgres://");
  expect(stderr).not.toContain("hunter2");
  expect(stderr).not.toMatch(/\n\s+at /);
});

test("rules between variables are checked as well", async () => {
  const { code, stderr } = await runMain(dir, { TARL_TLS_CERT_FILE: join(dir, "none.crt"), TARL_GRPC_PORT: "8080" });
  expect(code).toBe(EXIT_CONFIG);
  expect(stderr).toContain("TARL_TLS_KEY_FILE");
  expect(stderr).toContain("TARL_GRPC_PORT and TARL_REST_PORT are both 8080");
});

test("--print-config shows every value and no secret", async () => {
  const url = "postgres://user:hunter2@host/db";
  const { code, stdout } = await runMain(dir, { TARL_DATABASE_URL: url, TARL_REST_PORT: "8181" }, "--print-config");
  expect(code).toBe(0);
  expect(stdout).toContain("TARL_REST_PORT=8181");
  expect(stdout).toContain("TARL_GRPC_PORT=50051 # default");
  expect(stdout).toContain("TARL_DATABASE_URL=postgres://user:***@host/db");
});

test("an occupied port is named, with what to do, and the data folder is left free", async () => {
  const port = await restartablePort();
  const server = createServer();
  squatter = server;
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  for (const variable of ["TARL_REST_PORT", "TARL_GRAPHQL_PORT", "TARL_GRPC_PORT"]) {
    const { code, stderr } = await runMain(dir, { ...ANY_PORTS, [variable]: String(port) });
    expect(code).toBe(1);
    expect(stderr).toContain(String(port));
    expect(stderr).toContain(variable);
    expect(stderr).not.toMatch(/\n\s+at /);
  }
  gateway = await startGateway({ dir });
  expect((await restClient(gateway, gateway.adminKey).get("/namespaces/default")).status).toBe(200);
}, 120_000);

test("two gateways on one data folder: the second is refused, the first goes on", async () => {
  gateway = await startGateway({ dir });
  const second = await runMain(dir, ANY_PORTS);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`is in use by process ${gateway.pid}`);
  expect(second.stderr).toContain("TARL_DATA_DIR");
  expect(second.stderr).not.toMatch(/\n\s+at /);
  const client = restClient(gateway, gateway.adminKey);
  expect((await client.post("/namespaces/default/queues/q/tasks", { kind: "k" })).status).toBe(200);
  await gateway.stop();
}, 120_000);

test("a database that does not answer is named without its password", async () => {
  const port = await restartablePort();
  const url = `postgres://user:hunter2@127.0.0.1:${port}/db`;
  const { code, stdout, stderr } = await runMain(dir, { ...ANY_PORTS, TARL_DATABASE_URL: url });
  expect(code).toBe(1);
  expect(stderr).toMatch(/database/i);
  expect(stdout + stderr).not.toContain("hunter2");
  expect(stderr).not.toMatch(/\n\s+at /);
}, 120_000);
