/** What one GraphQL request, socket or stream may ask of the gateway. Every one is enforced before execution. */
export interface GraphqlLimits {
  /** The largest HTTP body or WebSocket message. */
  readonly maxBodyBytes: number;
  readonly maxQueryCharacters: number;
  /** Words and punctuation marks of the query text; bounds the work of parsing and validating it. */
  readonly maxTokens: number;
  /** How deep selections nest, fragments included. */
  readonly maxDepth: number;
  readonly maxAliases: number;
  readonly maxDirectives: number;
  /** See cost.ts for what costs how much. */
  readonly maxCost: number;
  /** How many parsed and validated queries are remembered. */
  readonly maxCachedQueries: number;
  /** How long a TLS handshake may take. */
  readonly handshakeTimeoutMs: number;
  readonly maxSockets: number;
  readonly maxOperationsPerSocket: number;
  /** What may wait for a WebSocket client to read it before the socket is ended. */
  readonly maxBufferedBytes: number;
  /** How long a client may stay silent before `connection_init`. */
  readonly connectionInitTimeoutMs: number;
  /** Time between heartbeats; a consumer that lets two go by without reading is ended. */
  readonly heartbeatMs: number;
}

export const DEFAULT_GRAPHQL_LIMITS: GraphqlLimits = {
  maxBodyBytes: 4 * 1024 * 1024,
  maxQueryCharacters: 64 * 1024,
  maxTokens: 5_000,
  maxDepth: 12,
  maxAliases: 30,
  maxDirectives: 50,
  // A page of 1,000 tasks with all their fields costs 13,000.
  maxCost: 20_000,
  maxCachedQueries: 1_000,
  handshakeTimeoutMs: 10_000,
  maxSockets: 10_000,
  maxOperationsPerSocket: 100,
  maxBufferedBytes: 8 * 1024 * 1024,
  connectionInitTimeoutMs: 10_000,
  heartbeatMs: 12_000,
};
