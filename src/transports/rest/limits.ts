/** Bounds on everything that comes from outside, and the timings of streams. */
export interface RestLimits {
  readonly maxBodyBytes: number;
  readonly maxUrlBytes: number;
  /** Request line and headers together; more is 431. */
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
  /** After so many requests a connection is closed, so that load spreads over new replicas. 0 is never. */
  readonly maxRequestsPerSocket: number;
  readonly handshakeTimeoutMs: number;
  /** A client that sends its headers more slowly is cut off with 408. */
  readonly headersTimeoutMs: number;
  /** As above, for the whole request with its body. */
  readonly requestTimeoutMs: number;
  /** Longer than the 60 s that load balancers commonly keep idle connections, so that they close first. */
  readonly keepAliveTimeoutMs: number;
  /** How long a stream may stay silent before its status line and a heartbeat are sent. */
  readonly streamQuietMs: number;
  readonly streamHeartbeatMs: number;
  /** How long a client may take to read what is buffered for it before its stream is ended. */
  readonly streamStallMs: number;
  /** What may be buffered for one client before its stream waits for it. */
  readonly streamBufferBytes: number;
}

export const DEFAULT_REST_LIMITS: RestLimits = {
  maxBodyBytes: 4 * 1024 * 1024,
  maxUrlBytes: 8 * 1024,
  maxHeaderBytes: 16 * 1024,
  maxConnections: 10_000,
  maxRequestsPerSocket: 100_000,
  handshakeTimeoutMs: 10_000,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 65_000,
  streamQuietMs: 250,
  streamHeartbeatMs: 15_000,
  streamStallMs: 30_000,
  streamBufferBytes: 256 * 1024,
};
