import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Component } from "../../core/lifecycle.ts";
import { createBodyBudget } from "../body-budget.ts";
import { DRAIN_FLUSH_MS } from "../gateway-draining.ts";
import { addressOf, type HttpAddress, listen } from "../http/listen.ts";
import { type OpenSockets, trackSockets } from "../open-sockets.ts";
import { type ActiveRequests, createActiveRequests } from "./active-requests.ts";
import { createEngine } from "./engine.ts";
import { createHttpHandler, ENDPOINT } from "./http-handler.ts";
import { createIntrospectionGuard } from "./introspection.ts";
import { DEFAULT_GRAPHQL_LIMITS, type GraphqlLimits } from "./limits.ts";
import type { GraphqlTransportOptions } from "./options.ts";
import { createExecutableSchema } from "./schema.ts";
import { createSocketServer, type SocketServer } from "./socket-server.ts";

export interface GraphqlTransport extends Component {
  /** Where it listens; the port is the real one once it has started. */
  readonly address: HttpAddress;
}

const HTTP_SERVER_OPTIONS = {
  maxHeaderSize: 16 * 1024,
  headersTimeout: 15_000,
  requestTimeout: 60_000,
  // Longer than the 60 s that load balancers commonly keep idle connections, so that they close first.
  keepAliveTimeout: 65_000,
  // Node looks for slow clients only this often, whatever the timeouts say.
  connectionsCheckingInterval: 5_000,
};
const MAX_CONNECTIONS = 10_000;
/** A client that neither reads nor writes for so long is gone; long polls and heartbeats are far shorter. */
const SILENT_CONNECTION_MS = 120_000;
/** How long clients have to answer the closing of their socket. */
const CLOSE_HANDSHAKE_MS = 2_000;

/** The GraphQL door: queries and mutations over HTTP, subscriptions over WebSocket and server-sent events. */
export function createGraphqlTransport(options: GraphqlTransportOptions): GraphqlTransport {
  const limits: GraphqlLimits = { ...DEFAULT_GRAPHQL_LIMITS, ...options.limits };
  const { logger, onRefused = () => {} } = options;
  const relations = new Set(options.edges.map(({ type, field }) => `${type}.${field}`));
  const schema = createExecutableSchema({
    ...options,
    onUnexpected: (error, { requestId }) => logger.error({ err: error.cause, requestId }, "a relation failed"),
  });
  const engine = createEngine({
    schema,
    limits,
    plugins: options.plugins ?? [],
    isRelation: (type, field) => relations.has(`${type}.${field}`),
    suggestsNames: options.introspection === "public",
    onUnexpected: (err) => logger.error({ err }, "a GraphQL answer could not be built"),
  });
  const active = createActiveRequests();
  const mayIntrospect = createIntrospectionGuard(options);
  const admit = options.admit ?? (() => undefined);
  const budget = options.bodies ?? createBodyBudget(Number.POSITIVE_INFINITY);
  const handler = createHttpHandler({
    engine,
    limits,
    admit,
    bodyOptions: { maxBytes: limits.maxBodyBytes, budget },
    active,
    mayIntrospect,
    graphiql: options.graphiql,
    logger,
    onRefused,
  });
  const sockets = createSocketServer({
    engine,
    limits,
    active,
    mayIntrospect,
    authenticate: options.authenticate,
    logger,
    budget,
    onRefused,
  });
  const server = createHttpServer(options, limits, handler);
  const connections = trackSockets(server, (socket) => socket.bytesRead === 0);
  server.on("upgrade", (request, socket, head) => sockets.upgrade(request, socket, head));

  let started: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;
  return {
    name: "graphql",
    get address() {
      return addressOf(server, options.host, options.port, options.tls !== undefined, ENDPOINT);
    },
    start() {
      started ??= listen(server, "GraphQL", options.host, options.port);
      return started;
    },
    stop(deadlineMs) {
      stopped ??= drain(server, connections, sockets, active, deadlineMs);
      return stopped;
    },
  };
}

function createHttpServer(
  { tls }: GraphqlTransportOptions,
  { handshakeTimeoutMs }: GraphqlLimits,
  handler: RequestListener,
): Server {
  const server = tls
    ? createTlsServer({ handshakeTimeout: handshakeTimeoutMs, ...HTTP_SERVER_OPTIONS, ...tls }, handler)
    : createServer(HTTP_SERVER_OPTIONS, handler);
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(SILENT_CONNECTION_MS);
  return server;
}

/** Ends streams at once with an error that says so, lets the rest finish until shortly before the deadline, then cuts what is left. */
async function drain(
  server: Server,
  connections: OpenSockets,
  sockets: SocketServer,
  active: ActiveRequests,
  deadlineMs: number,
): Promise<void> {
  const until = performance.now() + deadlineMs;
  const closingMs = () => Math.min(CLOSE_HANDSHAKE_MS, Math.max(0, until - performance.now()));
  sockets.refuseNew();
  const closed = server.listening ? new Promise<void>((resolve) => server.close(() => resolve())) : Promise.resolve();
  // Node counts a connection that has never sent anything as busy; browsers open such ones ahead.
  connections.endSilent();
  await active.drain(Math.max(0, deadlineMs - DRAIN_FLUSH_MS));
  await sockets.close(closingMs());
  const timer = setTimeout(() => connections.endAll(), closingMs());
  server.closeIdleConnections();
  await closed;
  clearTimeout(timer);
}
