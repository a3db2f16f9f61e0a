import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { BodyLimits } from "./body-meter.ts";
import type { StreamLimits } from "./call-context.ts";
import type { ConnectionLimits } from "./connections.ts";
import { type BegunCall, createCallInterceptor, type OwnStatus, setHttp2Options } from "./grpc-js-internals.ts";

/** Bounds on what a client may make the gateway hold. */
export interface GrpcLimits extends StreamLimits, BodyLimits, ConnectionLimits {
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  /** Request headers in all, as HTTP/2 counts them: names, values and 32 bytes for each pair. */
  readonly maxMetadataBytes: number;
  /** Calls under way on one connection. Clients keep the next ones back until there is room. */
  readonly maxConcurrentStreams: number;
  /** Those among them that ask for no credential: of health and reflection. */
  readonly maxOpenCalls: number;
  /** The largest message of such a call. */
  readonly maxOpenMessageBytes: number;
  /** What HTTP/2 may buffer for one connection. */
  readonly maxSessionMemoryMb: number;
}

export const DEFAULT_GRPC_LIMITS: GrpcLimits = Object.freeze({
  maxReceiveBytes: 4 * 1024 * 1024,
  maxSendBytes: 16 * 1024 * 1024,
  maxMetadataBytes: 16 * 1024,
  maxConcurrentStreams: 200,
  maxOpenCalls: 20,
  maxOpenMessageBytes: 4 * 1024,
  maxConnectionBodyBytes: 32 * 1024 * 1024,
  bodyTimeoutMs: 30_000,
  maxConnections: 10_000,
  handshakeTimeoutMs: 10_000,
  maxSessionMemoryMb: 64,
  maxBufferedBytes: 256 * 1024,
  slowConsumerMs: 30_000,
});

/** How dead connections are found and live ones are moved to new replicas. */
export interface GrpcKeepalive {
  /** How long a connection may be silent before it is asked for a sign of life. */
  readonly timeMs: number;
  readonly timeoutMs: number;
  /** After this, clients are asked to connect anew (give or take a tenth); absent, a connection may live for ever. */
  readonly maxConnectionAgeMs?: number | undefined;
  /** How long the calls of such a connection may go on. */
  readonly maxConnectionAgeGraceMs?: number | undefined;
  readonly maxConnectionIdleMs?: number | undefined;
}

/** The gateway's certificate, and whom it lets connect. All PEM. */
export interface GrpcTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Who must have signed the certificates of clients. */
  readonly ca?: Buffer | undefined;
  readonly requireClientCertificate?: boolean | undefined;
}

export function createServer(
  limits: GrpcLimits,
  keepalive: GrpcKeepalive,
  ownStatus: OwnStatus,
  begun: (call: BegunCall) => void,
): Server {
  const { maxConnectionAgeMs, maxConnectionAgeGraceMs, maxConnectionIdleMs } = keepalive;
  const server = new Server({
    interceptors: [createCallInterceptor(ownStatus, begun)],
    "grpc.max_receive_message_length": limits.maxReceiveBytes,
    "grpc.max_send_message_length": limits.maxSendBytes,
    "grpc.max_concurrent_streams": limits.maxConcurrentStreams,
    "grpc-node.max_session_memory": limits.maxSessionMemoryMb,
    "grpc.keepalive_time_ms": keepalive.timeMs,
    "grpc.keepalive_timeout_ms": keepalive.timeoutMs,
    ...(maxConnectionAgeMs !== undefined && { "grpc.max_connection_age_ms": maxConnectionAgeMs }),
    ...(maxConnectionAgeGraceMs !== undefined && { "grpc.max_connection_age_grace_ms": maxConnectionAgeGraceMs }),
    ...(maxConnectionIdleMs !== undefined && { "grpc.max_connection_idle_ms": maxConnectionIdleMs }),
    // Its counters cost time on every call, and nothing here serves them.
    "grpc.enable_channelz": 0,
  });
  setHttp2Options(server, {
    maxHeaderBytes: limits.maxMetadataBytes,
    handshakeTimeoutMs: limits.handshakeTimeoutMs,
  });
  return server;
}

export function createCredentials(tls: GrpcTls | undefined): ServerCredentials {
  if (!tls) return ServerCredentials.createInsecure();
  const requireClientCertificate = tls.requireClientCertificate ?? false;
  if (requireClientCertificate && !tls.ca) {
    throw new Error("Client certificates are required, but no CA to check them with was given.");
  }
  return ServerCredentials.createSsl(
    tls.ca ?? null,
    [{ private_key: tls.key, cert_chain: tls.cert }],
    requireClientCertificate,
  );
}
