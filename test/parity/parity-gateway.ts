import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/config.ts";
import type { Logger } from "../../src/core/logger.ts";
import { createGateway } from "../../src/gateway.ts";
import { operations } from "../../src/operations.ts";
import { type Clients, createClients } from "../support/clients.ts";
import type { CallOptions, Input, Outcome, ProtocolName } from "../support/clients-model.ts";

export interface ParityGateway {
  readonly clients: Clients;
  readonly addresses: { readonly rest: string; readonly graphql: string; readonly grpc: string };
  /** `Bearer …` of the admin of the whole gateway. */
  readonly admin: string;
  /** Errors that the gateway logged: each is a bug somewhere. */
  readonly logged: readonly string[];
  /** Somebody who works over one protocol in a new namespace, as the gateway's admin where nothing else is said. */
  actor(protocol: ProtocolName, namespace: string, settings?: Input): Promise<Actor>;
  stop(): Promise<void>;
}

/** Calls over one protocol in one namespace. */
export interface Actor {
  readonly protocol: ProtocolName;
  readonly namespace: string;
  /** The input gets the actor's namespace unless it names one or the operation has none. */
  call(operation: string, input?: Input, options?: CallOptions): Promise<Outcome>;
  /** The same for calls that must succeed; answers the output. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look wherever they like.
  must(operation: string, input?: Input, options?: CallOptions): Promise<any>;
  /** A new key with these roles, as `Bearer …`. */
  key(...roles: string[]): Promise<string>;
  /** A new name that no other call of this gives. */
  fresh(prefix: string): string;
}

const STOP_MS = 5_000;
/** What a hook that starts a gateway may take: a new embedded database is slow on a busy machine. */
export const START_MS = 60_000;

/** Starts a gateway in this process on the embedded database in a folder of its own. */
export async function startParityGateway(environment: Readonly<Record<string, string>> = {}): Promise<ParityGateway> {
  const dataDir = mkdtempSync(join(tmpdir(), "tarl-parity-"));
  const logged: string[] = [];
  const error = (fields: object, message: string) => {
    const { err, ...others } = fields as { err?: unknown };
    logged.push(`${message} ${JSON.stringify(others)} ${err instanceof Error ? err.stack : String(err)}`);
  };
  const logger: Logger = { error, warn: () => {}, info: () => {}, debug: () => {} };
  const config = loadConfig({
    TARL_REST_PORT: "0",
    TARL_GRAPHQL_PORT: "0",
    TARL_GRPC_PORT: "0",
    TARL_DATA_DIR: dataDir,
    ...environment,
  });
  const gateway = await createGateway(config, logger);
  await gateway.start();
  const clients = createClients(gateway.addresses);
  const admin = `Bearer ${readFileSync(join(dataDir, "admin.key"), "utf8").trim()}`;
  return {
    clients,
    addresses: gateway.addresses,
    admin,
    logged,
    async actor(protocol, namespace, settings = {}) {
      const actor = createActor(clients, admin, protocol, namespace);
      await actor.must("namespaces.create", { name: namespace, ...settings });
      return actor;
    },
    async stop() {
      for (const client of Object.values(clients)) client.close();
      await gateway.stop(STOP_MS);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function createActor(clients: Clients, admin: string, protocol: ProtocolName, namespace: string): Actor {
  let made = 0;
  const actor: Actor = {
    protocol,
    namespace,
    call: (operation, input = {}, options = {}) =>
      clients[protocol].call(operation, withNamespace(operation, namespace, input), {
        authorization: admin,
        ...options,
      }),
    async must(operation, input, options) {
      const outcome = await actor.call(operation, input, options);
      if (!outcome.ok) throw new Error(`${operation} over ${protocol} failed: ${JSON.stringify(outcome)}`);
      return outcome.output;
    },
    async key(...roles) {
      const { secret } = await actor.must("keys.create", { roles });
      return `Bearer ${secret}`;
    },
    fresh: (prefix) => `${prefix}-${++made}`,
  };
  return actor;
}

/** Operations outside of any namespace take none. */
const GLOBAL = new Set(
  operations
    .filter((operation) => !("namespace" in operation.input.shape) && operation.kind !== "bidi")
    .map(({ name }) => name),
);

export function withNamespace(operation: string, namespace: string, input: Input): Input {
  return GLOBAL.has(operation) ? input : { namespace, ...input };
}
