import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { type Environment, type GatewayProcess, startGateway } from "../support/gateway-process.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startRedis } from "../support/redis.ts";
import type { RestClient } from "./client.ts";

/** Gateways that share one state, as somebody would run them. */
export interface Installation {
  /** The first gateway, and another one; the same one where there is only one. */
  readonly a: GatewayProcess;
  readonly b: GatewayProcess;
  readonly gateways: readonly GatewayProcess[];
  readonly adminKey: string;
  /** Ends and removes all of it. */
  remove(): Promise<void>;
}

export interface Setup {
  readonly name: string;
  start(environment?: Environment): Promise<Installation>;
}

type Resource = { readonly environment: Environment; remove(): Promise<void> };

/** The sizes the gateway comes in. */
export const SETUPS: readonly Setup[] = [
  { name: "embedded", start: (environment) => install(1, [], environment) },
  { name: "Postgres", start: (environment) => install(2, [postgres], environment) },
  { name: "Postgres and Redis", start: (environment) => install(2, [postgres, redis], environment) },
];

async function postgres(): Promise<Resource> {
  const { url, drop } = await createTestDatabase();
  return { environment: { TARL_DATABASE_URL: url }, remove: drop };
}

/** A Redis of its own: channels reach all databases of one. */
async function redis(): Promise<Resource> {
  const { url, stop } = await startRedis();
  return { environment: { TARL_REDIS_URL: url }, remove: stop };
}

async function install(
  count: number,
  needs: readonly (() => Promise<Resource>)[],
  environment: Environment = {},
): Promise<Installation> {
  const resources = await Promise.all(needs.map((need) => need()));
  const all = Object.assign({}, ...resources.map((resource) => resource.environment), environment) as Environment;
  // Together, because that is how several replicas of a new installation start.
  const starts = await Promise.allSettled(Array.from({ length: count }, () => startGateway({ environment: all })));
  const gateways = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  const failed = starts.find((start) => start.status === "rejected");
  if (failed !== undefined) {
    await Promise.all(gateways.map((gateway) => gateway.remove()));
    for (const resource of resources) await resource.remove();
    throw failed.reason;
  }
  const [a, b = a] = gateways as [GatewayProcess, GatewayProcess?];
  const keys = gateways.flatMap((gateway) => adminKeyOf(gateway));
  expect(keys, "admin keys made").toHaveLength(1);
  return {
    a,
    b,
    gateways,
    adminKey: keys[0]!,
    async remove() {
      await Promise.all(gateways.map((gateway) => gateway.remove()));
      for (const resource of resources) await resource.remove();
    },
  };
}

function adminKeyOf(gateway: GatewayProcess): string[] {
  try {
    return [gateway.adminKey];
  } catch {
    return [];
  }
}

/** A name that no other test uses. */
export function freshName(prefix: string): string {
  return `${prefix}-${randomBytes(4).toString("hex")}`;
}

/** A namespace of its own for one test; answers its name and the path of it. */
export async function createNamespace(
  admin: RestClient,
  quotas: object = {},
): Promise<{ namespace: string; path: string }> {
  const name = freshName("team");
  const created = await admin.post("/namespaces", { name, quotas });
  expect(created.status).toBe(200);
  return { namespace: name, path: `/namespaces/${name}` };
}

/** A key of the namespace; answers its text and its id. */
export async function createKey(
  admin: RestClient,
  path: string,
  ...roles: string[]
): Promise<{ secret: string; keyId: string }> {
  const { status, body } = await admin.post(`${path}/keys`, { roles });
  expect(status).toBe(200);
  return { secret: body.secret, keyId: body.apiKey.keyId };
}
