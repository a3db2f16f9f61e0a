import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { TlsOptions } from "node:tls";
import type { Dispatcher } from "../../core/exchange.ts";
import type { IdGenerator } from "../../core/ids.ts";
import type { Component } from "../../core/lifecycle.ts";
import type { AnyOperation } from "../../core/operation.ts";
import type { Admit } from "../admit.ts";
import { type BodyBudget, createBodyBudget } from "../body-budget.ts";
import { DRAIN_FLUSH_MS, gatewayDraining } from "../gateway-draining.ts";
import { addressOf, type HttpAddress, listen } from "../http/listen.ts";
import type { OnRefused } from "../on-refused.ts";
import { type OpenSockets, trackSockets } from "../open-sockets.ts";
import { answerClientError } from "./client-error.ts";
import type { RestContext, RestLogger } from "./context.ts";
import { createCorsPolicy } from "./cors.ts";
import { DEFAULT_REST_LIMITS, type RestLimits } from "./limits.ts";
import { createPages, type PageOptions } from "./pages.ts";
import { createRequestHandler } from "./request-handler.ts";
import { compileRoutes } from "./route.ts";

export interface RestTransportOptions extends PageOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly operations: readonly AnyOperation[];
  readonly dispatcher: Dispatcher;
  readonly ids: IdGenerator;
  readonly logger: RestLogger;
  /** For the metrics. */
  readonly onRefused?: OnRefused | undefined;
  /** Asked before a body of some size is taken in; without it, every one is. */
  readonly admit?: Admit | undefined;
  /** What the bodies of all transports together may take. */
  readonly bodies?: BodyBudget | undefined;
  readonly limits?: Partial<RestLimits> | undefined;
  /** Origins whose pages may call from a browser; none by default. */
  readonly corsOrigins?: readonly string[] | undefined;
  /** Certificate and key, and a `ca` with `requestCert` for mTLS. Without it the server speaks plain HTTP. */
  readonly tls?: TlsOptions | undefined;
}

export interface RestTransport extends Component {
  /** Where it listens; the port is the real one once it has started. */
  readonly address: HttpAddress;
}

const MAX_TIMEOUT_CHECK_MS = 5_000;
const IDLE_SWEEP_MS = 50;

function createHttpServer(limits: RestLimits, tls: TlsOptions | undefined, handler: RequestListener): Server {
  const options = {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    // Node looks for slow clients only this often, whatever the timeouts say.
    connectionsCheckingInterval: Math.min(MAX_TIMEOUT_CHECK_MS, Math.ceil(limits.headersTimeoutMs / 2)),
  };
  const server = tls
    ? createTlsServer({ handshakeTimeout: limits.handshakeTimeoutMs, ...options, ...tls }, handler)
    : createServer(options, handler);
  server.maxConnections = limits.maxConnections;
  server.maxRequestsPerSocket = limits.maxRequestsPerSocket;
  // The body is asked for where it is read, so that one that is refused anyway is never sent.
  server.on("checkContinue", handler);
  return server;
}

/** Ends streams at once, lets requests finish until shortly before the deadline, then tells those left why they end. */
async function drain(server: Server, sockets: OpenSockets, context: RestContext, deadlineMs: number): Promise<void> {
  context.draining = true;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  const reason = gatewayDraining();
  for (const stream of [...context.streams]) stream.end(reason);
  // Node counts a connection that has never sent anything as busy; browsers open such ones ahead.
  sockets.endSilent();
  // A connection whose answer ends after this point stays open for its client's next request.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  const lateTimer = setTimeout(
    () => {
      for (const call of [...context.calls]) call.abort(reason);
    },
    Math.max(0, deadlineMs - DRAIN_FLUSH_MS),
  );
  const cutTimer = setTimeout(() => sockets.endAll(), deadlineMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(lateTimer);
  clearTimeout(cutTimer);
}

/** The REST door: operations from a compiled table, and an Express app for everything else, on one port. */
export function createRestTransport(options: RestTransportOptions): RestTransport {
  const limits: RestLimits = { ...DEFAULT_REST_LIMITS, ...options.limits };
  const context: RestContext = {
    dispatcher: options.dispatcher,
    ids: options.ids,
    logger: options.logger,
    onRefused: options.onRefused ?? (() => {}),
    limits,
    admit: options.admit ?? (() => undefined),
    bodyOptions: {
      maxBytes: limits.maxBodyBytes,
      budget: options.bodies ?? createBodyBudget(Number.POSITIVE_INFINITY),
    },
    cors: createCorsPolicy(options.corsOrigins ?? []),
    streams: new Set(),
    calls: new Set(),
    draining: false,
  };
  const pages = createPages(context, options);
  const handler = createRequestHandler(context, compileRoutes(options.operations), (request, response) =>
    pages(
      request as IncomingMessage & Parameters<typeof pages>[0],
      response as ServerResponse & Parameters<typeof pages>[1],
    ),
  );
  const server = createHttpServer(limits, options.tls, handler);
  const sockets = trackSockets(server, (socket) => socket.bytesRead === 0);
  server.on("clientError", (error, socket) => answerClientError(error, socket as Socket, context));

  let started: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;
  return {
    name: "rest",
    get address() {
      return addressOf(server, options.host, options.port, options.tls !== undefined);
    },
    start() {
      // A gateway that was told to stop while it was starting must not open its door any more.
      started ??= stopped ? Promise.resolve() : listen(server, "REST", options.host, options.port);
      return started;
    },
    stop(deadlineMs) {
      stopped ??= Promise.allSettled([started]).then(() =>
        server.listening ? drain(server, sockets, context, deadlineMs) : undefined,
      );
      return stopped;
    },
  };
}
