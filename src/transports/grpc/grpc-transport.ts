import { readdir } from "node:fs/promises";
import { promisify } from "node:util";
import type { Server, ServerCredentials, ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import { load } from "@grpc/proto-loader";
import type { GrpcCodec } from "../../contract/grpc-codec.ts";
import { createMessageEncoders } from "../../contract/message-encoder.ts";
import { PROTO_LOADER_OPTIONS } from "../../contract/proto-loader-options.ts";
import { AppError } from "../../core/errors.ts";
import type { Dispatcher } from "../../core/exchange.ts";
import type { Component } from "../../core/lifecycle.ts";
import type { Logger } from "../../core/logger.ts";
import type { AnyOperation } from "../../core/operation.ts";
import type { Admit } from "../admit.ts";
import { type BodyBudget, createBodyBudget } from "../body-budget.ts";
import { DRAIN_FLUSH_MS, gatewayDraining } from "../gateway-draining.ts";
import type { OnRefused } from "../on-refused.ts";
import { createActiveCalls } from "./active-calls.ts";
import { type BidiMethod, createBidiHandler } from "./bidi.ts";
import { createBodyMeter } from "./body-meter.ts";
import type { CallContext } from "./call-context.ts";
import { limitConnections } from "./connections.ts";
import { createErrorDetailsEncoder } from "./error-details.ts";
import { fileDescriptors } from "./file-descriptors.ts";
import { onStream } from "./grpc-js-internals.ts";
import { logGrpcJs } from "./grpc-js-log.ts";
import { createHealth } from "./health.ts";
import { createMethod, type Method, methodPath, serviceName } from "./method.ts";
import { addReflection } from "./reflection.ts";
import { createOwnStatus, refuseUnknownMethods, statusOf } from "./refusals.ts";
import {
  createCredentials,
  createServer,
  type GrpcKeepalive,
  type GrpcLimits,
  type GrpcTls,
} from "./server-options.ts";
import { createServerStreamHandler, type ServerStreamMethod } from "./server-stream.ts";
import { createStreamGuard } from "./stream-guard.ts";
import { createUnaryHandler, type UnaryMethod } from "./unary.ts";

export interface GrpcTransportOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly operations: readonly AnyOperation[];
  readonly dispatcher: Dispatcher;
  /** The folder that holds the committed protos, e.g. `protos`; imports within them are relative to it. */
  readonly protoDir: string;
  readonly codec: GrpcCodec;
  readonly limits: GrpcLimits;
  readonly keepalive: GrpcKeepalive;
  readonly tls?: GrpcTls | undefined;
  /** Whether clients may ask for the protos, which takes no key. */
  readonly reflection: boolean;
  readonly logger: Logger;
  /** For the metrics. */
  readonly onRefused?: OnRefused | undefined;
  /** Asked before anything of a body is taken in; without it, everything is. */
  readonly admit?: Admit | undefined;
  /** What the bodies of all transports together may take. */
  readonly bodies?: BodyBudget | undefined;
}

export interface GrpcTransport extends Component {
  /** Where it listens, `host:port`; known once it has started. */
  readonly address: string;
  /** What health says while the transport runs, for when something the gateway needs is away. */
  setServing(serving: boolean): void;
}

/** Offers every operation over gRPC, with health and reflection beside them. */
export function createGrpcTransport(options: GrpcTransportOptions): GrpcTransport {
  const { host, port, operations, codec, limits, logger } = options;
  const activeCalls = createActiveCalls();
  const health = createHealth([...new Set(operations.map(serviceName))], activeCalls);
  const encodeDetails = createErrorDetailsEncoder();
  const onRefused = options.onRefused ?? (() => {});
  const refusals = { encodeDetails, onRefused };
  const bodies = createBodyMeter(
    limits,
    options.bodies ?? createBodyBudget(Number.POSITIVE_INFINITY),
    (call, error) => {
      onRefused(error.code);
      call.end(statusOf(error, encodeDetails));
    },
  );
  const context: CallContext = {
    dispatcher: options.dispatcher,
    activeCalls,
    encodeDetails,
    logger,
    onRefused,
    streamLimits: limits,
    bodies,
  };
  const operationByPath = new Map(operations.map((operation) => [methodPath(operation), operation] as const));
  const server = createServer(limits, options.keepalive, createOwnStatus(refusals), (call) => {
    if (operationByPath.has(call.path)) bodies.begin(call);
    else call.limitMessages(limits.maxOpenMessageBytes);
  });
  const admit = options.admit ?? (() => undefined);
  onStream(server, createStreamGuard({ operations: operationByPath, admit, context, ...limits }));
  refuseUnknownMethods(server, refusals);
  const sockets = limitConnections(server, limits);
  logGrpcJs(logger);
  let boundPort: number | undefined;
  let started: Promise<void> | undefined;
  let stopped: Promise<void> | undefined;

  async function start(): Promise<void> {
    const protos = await listProtos(options.protoDir);
    const loaded = await load(protos, { ...PROTO_LOADER_OPTIONS, includeDirs: [options.protoDir] });
    const encoderOf = createMessageEncoders(loaded);
    const methods = operations.map((one) => createMethod(one, loaded, codec, encoderOf, limits.maxSendBytes));
    addServices(server, methods, context);
    health.addToServer(server);
    if (options.reflection) addReflection(server, fileDescriptors(options.protoDir, protos), context);
    boundPort = await bind(server, host, port, createCredentials(options.tls));
    health.setServing(true);
  }

  async function stop(deadlineMs: number): Promise<void> {
    health.setServing(false);
    const closed = promisify(server.tryShutdown.bind(server))();
    const draining = gatewayDraining();
    sockets.endSilent();
    activeCalls.fail("stream", draining);
    if (await settlesWithin(closed, deadlineMs - DRAIN_FLUSH_MS)) return;
    logger.warn({ calls: activeCalls.size }, "gRPC calls were still under way at the deadline and are aborted.");
    activeCalls.fail("unary", draining);
    // A client that is dead, or keeps its connection without a call, never closes it.
    if (await settlesWithin(closed, Math.min(DRAIN_FLUSH_MS, deadlineMs))) return;
    server.forceShutdown();
    sockets.endAll();
  }

  return {
    name: "grpc",
    get address() {
      if (boundPort === undefined) throw new Error("The gRPC transport has no address before it has started.");
      return authority(host, boundPort);
    },
    setServing(serving) {
      if (!stopped) health.setServing(serving);
    },
    start: () => (started ??= start()),
    stop: (deadlineMs) => (stopped ??= stop(deadlineMs)),
  };
}

async function listProtos(protoDir: string): Promise<string[]> {
  const files = await readdir(protoDir, { recursive: true });
  return files.filter((file) => file.endsWith(".proto")).sort();
}

function addServices(server: Server, methods: readonly Method[], context: CallContext): void {
  for (const [name, group] of Map.groupBy(methods, ({ operation }) => serviceName(operation))) {
    const definition: Record<string, Method["definition"]> = {};
    const implementation: UntypedServiceImplementation = {};
    for (const method of group) {
      const methodName = method.definition.path.slice(name.length + 2);
      definition[methodName] = method.definition;
      implementation[methodName] = createHandler(method, context);
    }
    server.addService(definition as ServiceDefinition, implementation);
  }
}

function createHandler(method: Method, context: CallContext): UntypedServiceImplementation[string] {
  switch (method.operation.kind) {
    case "unary":
      return createUnaryHandler(method as UnaryMethod, context);
    case "serverStream":
      return createServerStreamHandler(method as ServerStreamMethod, context);
    case "bidi":
      return createBidiHandler(method as BidiMethod, context);
  }
}

async function bind(server: Server, host: string, port: number, credentials: ServerCredentials): Promise<number> {
  try {
    return await promisify(server.bindAsync.bind(server))(authority(host, port), credentials);
  } catch (cause) {
    const isTaken = cause instanceof Error && cause.message.includes("EADDRINUSE");
    const message = isTaken
      ? `Port ${port} on ${host} is in use. Stop what listens there, or set TARL_GRPC_PORT to another.`
      : `The gRPC server cannot listen on ${authority(host, port)}. Check TARL_HOST and TARL_GRPC_PORT.`;
    throw new AppError("UNAVAILABLE", isTaken ? "PORT_IN_USE" : "LISTEN_FAILED", message, { cause });
  }
}

function authority(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: timeout, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, Math.max(0, ms), false);
  const settled = promise.then(
    () => true as const,
    () => true as const,
  );
  return Promise.race([settled, timeout]).finally(() => clearTimeout(timer));
}
