import pg from "pg";
import { postgresConnection } from "./postgres-connection.ts";

export interface PostgresPoolOptions {
  readonly url: string;
  readonly maxConnections: number;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly applicationName: string;
  readonly onConnectionError: ((error: Error) => void) | undefined;
}

/** A server that is frozen cannot end its own statements, so the client gives up a little later by itself. */
const CLIENT_TIMEOUT_MARGIN_MS = 2_000;

const INT8_OID = 20;
const INT8_ARRAY_OID: number = 1016;

const parseInt8Array = (text: string) => (pg.types.getTypeParser(INT8_ARRAY_OID)(text) as string[]).map(Number);

/** int8 as a number: counters that pass 2^53 do not exist here. */
const resultTypes: pg.CustomTypesConfig = {
  getTypeParser: (oid: number) => {
    if (oid === INT8_OID) return Number;
    return oid === INT8_ARRAY_OID ? parseInt8Array : pg.types.getTypeParser(oid);
  },
};

export function createPostgresPool(options: PostgresPoolOptions): pg.Pool {
  const { statementTimeoutMs } = options;
  const pool = new pg.Pool({
    ...postgresConnection(options.url, {
      // Every statement is meant to go through an index. A plan that is prepared while its table is
      // still small would scan the whole of it, and be kept while the table grows.
      enable_seqscan: "off",
      statement_timeout: statementTimeoutMs,
      lock_timeout: options.lockTimeoutMs,
      idle_in_transaction_session_timeout: statementTimeoutMs,
    }),
    max: options.maxConnections,
    query_timeout: statementTimeoutMs + CLIENT_TIMEOUT_MARGIN_MS,
    connectionTimeoutMillis: options.connectTimeoutMs,
    application_name: options.applicationName,
    keepAlive: true,
    types: resultTypes,
  });
  // Without listeners, a connection that Postgres drops would end the process: idle ones report to
  // the pool, ones in use report to themselves and, through their statement, to the caller.
  pool.on("error", (error) => options.onConnectionError?.(error));
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}
