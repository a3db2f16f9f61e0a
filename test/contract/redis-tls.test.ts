import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createCertificate } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayProcess, showGatewaysOnFailure, startGateway } from "../support/gateway-process.ts";
import { type RedisServer, startRedis } from "../support/redis.ts";

showGatewaysOnFailure();

let folder: string;
let redis: RedisServer;
let gateway: GatewayProcess | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tarl-redis-tls-"));
  await createCertificate(folder, "ca");
  await createCertificate(folder, "redis", "ca");
  redis = await startRedis({
    settings: {
      "tls-cert-file": join(folder, "redis.crt"),
      "tls-key-file": join(folder, "redis.key"),
      "tls-auth-clients": "no",
    },
    tls: true,
  });
});
afterEach(async () => {
  await gateway?.remove();
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
});

async function redisCheck(): Promise<unknown> {
  const answer = await fetch(`${gateway!.rest}/readyz`);
  return ((await answer.json()) as { checks: Record<string, string> }).checks.redis;
}

test("a Redis behind a private authority is trusted by NODE_EXTRA_CA_CERTS, and not without", async () => {
  gateway = await startGateway({
    environment: { TARL_REDIS_URL: redis.url, NODE_EXTRA_CA_CERTS: join(folder, "ca.crt") },
  });
  await eventually("Redis answers", async () => (await redisCheck()) === "ok");

  await gateway.restart({ NODE_EXTRA_CA_CERTS: "" });
  expect(await redisCheck()).toBe("does not answer");
  expect(gateway.output()).toMatch(/unable to verify the first certificate|UNABLE_TO_VERIFY_LEAF_SIGNATURE/);
}, 60_000);
