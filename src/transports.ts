import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Config, TlsConfig } from "./config/config.ts";
import type { GrpcCodec } from "./contract/grpc-codec.ts";
import type { Protocol } from "./core/call.ts";
import type { AnyEdge } from "./core/edge.ts";
import type { ErrorCode } from "./core/errors.ts";
import type { Dispatcher } from "./core/exchange.ts";
import type { IdGenerator } from "./core/ids.ts";
import type { Logger } from "./core/logger.ts";
import type { AnyOperation } from "./core/operation.ts";
import { guardEdges, mayFollow } from "./interceptors/guard-edges.ts";
import type { Metrics } from "./platform/telemetry/metrics.ts";
import { type Authenticator, isAllowed, permissionDenied } from "./services/tenancy/index.ts";
import type { Admit } from "./transports/admit.ts";
import { createBodyBudget } from "./transports/body-budget.ts";
import { createGraphqlTransport } from "./transports/graphql/graphql-transport.ts";
import { createGrpcTransport } from "./transports/grpc/grpc-transport.ts";
import { DEFAULT_GRPC_LIMITS } from "./transports/grpc/server-options.ts";
import type { Health } from "./transports/rest/pages.ts";
import { createRestTransport } from "./transports/rest/rest-transport.ts";

/** The three doors, opened and closed as one. */
export interface Transports {
  readonly addresses: { readonly rest: string; readonly graphql: string; readonly grpc: string };
  start(): Promise<void>;
  stop(deadlineMs: number): Promise<void>;
}

export interface TransportsOptions {
  readonly config: Config;
  readonly logger: Logger;
  readonly ids: IdGenerator;
  readonly metrics: Metrics;
  readonly operations: readonly AnyOperation[];
  readonly edges: readonly AnyEdge[];
  readonly services: object;
  readonly codec: GrpcCodec;
  readonly dispatcher: Dispatcher;
  readonly authenticator: Authenticator;
  /** Whether the stores answer. */
  readonly ready: () => Promise<Health>;
}

const GRPC_KEEPALIVE = { timeMs: 60_000, timeoutMs: 20_000, maxConnectionIdleMs: 300_000 } as const;
/** How many of the largest requests may be on their way in at a time, over all connections and over one. */
const MAX_BODIES = 32;
const MAX_CONNECTION_BODIES = 8;
const INTROSPECTION = { on: "public", permitted: "authenticated", off: "off" } as const;

export async function createTransports(options: TransportsOptions): Promise<Transports> {
  const { config, logger, operations, dispatcher, authenticator } = options;
  const tls = config.tls && (await readTls(config.tls));
  const httpTls = tls && { cert: tls.cert, key: tls.key, ...(tls.ca && { ca: tls.ca, requestCert: true }) };
  let draining = false;

  const bodies = createBodyBudget(MAX_BODIES * config.maxRequestBytes);
  const admit: Admit = (authorization) =>
    authenticator.peek(authorization) ? undefined : authenticator.authenticate(authorization);
  const counting = (protocol: Protocol) => (code: ErrorCode) => options.metrics.requests.refused(protocol, code);

  const rest = createRestTransport({
    onRefused: counting("rest"),
    admit,
    bodies,
    host: config.host,
    port: config.restPort,
    operations,
    dispatcher,
    ids: options.ids,
    logger,
    limits: { maxBodyBytes: config.maxRequestBytes, requestTimeoutMs: config.requestTimeoutMs },
    corsOrigins: config.corsOrigins,
    tls: httpTls,
    openapi: JSON.parse(await readText("../schema/openapi.json")) as object,
    health: {
      live: () => ({ healthy: true }),
      ready: () => (draining ? { healthy: false, checks: { gateway: "draining" } } : options.ready()),
    },
    metrics: (authorization) => scrape(options, authorization),
  });
  const graphql = createGraphqlTransport({
    onRefused: counting("graphql"),
    admit,
    bodies,
    host: config.host,
    port: config.graphqlPort,
    sdl: await readText("../schema/schema.graphql"),
    operations,
    edges: guardEdges(options.edges),
    services: options.services,
    dispatcher,
    authenticate: (authorization) => authenticator.authenticate(authorization),
    mayRead: mayFollow,
    logger,
    introspection: INTROSPECTION[config.graphqlIntrospection],
    graphiql: config.docs,
    limits: { maxBodyBytes: config.maxRequestBytes },
    tls: httpTls,
  });
  const grpc = createGrpcTransport({
    onRefused: counting("grpc"),
    admit,
    bodies,
    host: config.host,
    port: config.grpcPort,
    operations,
    dispatcher,
    protoDir: fileURLToPath(new URL("../protos", import.meta.url)),
    codec: options.codec,
    limits: {
      ...DEFAULT_GRPC_LIMITS,
      maxReceiveBytes: config.maxRequestBytes,
      maxConnectionBodyBytes: MAX_CONNECTION_BODIES * config.maxRequestBytes,
    },
    keepalive: GRPC_KEEPALIVE,
    tls: tls && { ...tls, requireClientCertificate: tls.ca !== undefined },
    reflection: config.grpcReflection,
    logger,
  });
  const all = [rest, graphql, grpc];

  return {
    get addresses() {
      return { rest: rest.address.url, graphql: graphql.address.url, grpc: grpc.address };
    },
    async start() {
      for (const transport of all) await transport.start();
    },
    async stop(deadlineMs) {
      draining = true;
      await Promise.all(all.map((transport) => transport.stop(deadlineMs)));
    },
  };
}

/** Metrics tell of every tenant, so they may need a key. */
async function scrape({ config, metrics, authenticator }: TransportsOptions, authorization: string | undefined) {
  if (!config.metricsPublic) {
    const principal = await authenticator.authenticate(authorization);
    if (!isAllowed(principal, "system.read", undefined)) throw permissionDenied("system.read", undefined);
  }
  return metrics.render();
}

async function readTls({ certFile, keyFile, clientCaFile }: TlsConfig) {
  return {
    cert: await readFile(certFile),
    key: await readFile(keyFile),
    ...(clientCaFile && { ca: await readFile(clientCaFile) }),
  };
}

function readText(path: string): Promise<string> {
  return readFile(fileURLToPath(new URL(path, import.meta.url)), "utf8");
}
