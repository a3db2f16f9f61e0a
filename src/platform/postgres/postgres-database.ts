import pg from "pg";
import type { Database, Queryable, QueryResult } from "./database.ts";
import { isConnectionError, mapDatabaseError } from "./database-error.ts";
import { observeQuery, type QueryObserver } from "./query-observer.ts";
import { retryTransient } from "./retry.ts";

export interface PostgresDatabaseOptions {
  /** `postgres://user:password@host:port/database`; `?sslmode=` and the like are understood. */
  readonly url: string;
  readonly maxConnections?: number;
  /** How long a statement may run before Postgres ends it. */
  readonly statementTimeoutMs?: number;
  /** How long to wait for a connection, new or from the pool. */
  readonly connectTimeoutMs?: number;
  readonly applicationName?: string;
  readonly onQuery?: QueryObserver;
  /** Hears of idle connections that broke, e.g. because Postgres was restarted. */
  readonly onConnectionError?: (error: Error) => void;
}

const DEFAULT_MAX_CONNECTIONS = 20;
const DEFAULT_STATEMENT_TIMEOUT_MS = 30_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
/** A server that is frozen cannot end its own statements, so the client gives up a little later by itself. */
const CLIENT_TIMEOUT_MARGIN_MS = 2_000;
/** Beyond this many different texts, statements are sent unnamed: somebody builds texts from values. */
const MAX_NAMED_STATEMENTS = 1_000;

/**
 * Every statement is meant to go through an index. A plan that is prepared while its table is
 * still small would scan the whole of it, and be kept while the table grows.
 */
const INDEX_PLANS = "-c enable_seqscan=off";

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

/** A pool of connections to a Postgres server. It connects when first asked, and again whenever it must. */
export function createPostgresDatabase(options: PostgresDatabaseOptions): Database {
  const pool = createPool(options);
  const nameOf = createStatementNames();
  const { onQuery } = options;

  const run = async <Row>(
    client: pg.PoolClient,
    text: string,
    values: readonly unknown[] | undefined,
  ): Promise<QueryResult<Row>> => {
    if (values === undefined) return lastResult<Row>(await client.query(text));
    const name = nameOf(text);
    const result = await client.query(
      name === undefined ? { text, values: values as unknown[] } : { name, text, values: values as unknown[] },
    );
    return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
  };

  const runOn: typeof run = onQuery
    ? (client, text, values) => observeQuery(onQuery, text, () => run(client, text, values))
    : run;

  const withClient = async <T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> => {
    const client = await pool.connect();
    try {
      const result = await work(client);
      client.release();
      return result;
    } catch (error) {
      client.release(isConnectionError(error) || isStalePlan(error) || error instanceof RollbackFailure);
      throw error instanceof RollbackFailure ? error.cause : error;
    }
  };

  const runTransaction = <T>(work: (transaction: Queryable) => Promise<T>) =>
    withClient(async (client) => {
      await runOn(client, "BEGIN", undefined);
      try {
        const result = await work({ query: (text, values) => runOn(client, text, values) });
        await runOn(client, "COMMIT", undefined);
        return result;
      } catch (error) {
        if (!isConnectionError(error)) await rollBack(client, error);
        throw error;
      }
    });

  let closing: Promise<void> | undefined;
  return {
    engine: "postgres",
    async query<Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> {
      try {
        return await retryTransient(() => withClient((client) => runOn<Row>(client, text, values)));
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    async transaction(work) {
      try {
        return await retryTransient(() => runTransaction(work));
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    close() {
      closing ??= pool.end();
      return closing;
    },
  };
}

function createPool(options: PostgresDatabaseOptions): pg.Pool {
  const statementTimeoutMs = options.statementTimeoutMs ?? DEFAULT_STATEMENT_TIMEOUT_MS;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.maxConnections ?? DEFAULT_MAX_CONNECTIONS,
    statement_timeout: statementTimeoutMs,
    query_timeout: statementTimeoutMs + CLIENT_TIMEOUT_MARGIN_MS,
    connectionTimeoutMillis: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: statementTimeoutMs,
    options: INDEX_PLANS,
    application_name: options.applicationName ?? "tarl-gateway",
    keepAlive: true,
    types: resultTypes,
  });
  // Without listeners, a connection that Postgres drops would end the process: idle ones report to
  // the pool, ones in use report to themselves and, through their statement, to the caller.
  pool.on("error", (error) => options.onConnectionError?.(error));
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/** What is thrown where a connection is left inside a failed transaction; its cause is the first error. */
class RollbackFailure extends Error {}

async function rollBack(client: pg.PoolClient, cause: unknown): Promise<void> {
  try {
    await client.query("ROLLBACK");
  } catch {
    throw new RollbackFailure("ROLLBACK failed", { cause });
  }
}

/** Gives each distinct text a name, so that a connection prepares it once. */
function createStatementNames(): (text: string) => string | undefined {
  const names = new Map<string, string>();
  return (text) => {
    let name = names.get(text);
    if (name === undefined && names.size < MAX_NAMED_STATEMENTS) {
      name = `s${names.size}`;
      names.set(text, name);
    }
    return name;
  };
}

/** node-postgres answers a text of several statements with a list of results. */
function lastResult<Row>(result: pg.QueryResult | pg.QueryResult[]): QueryResult<Row> {
  const last = Array.isArray(result) ? result.at(-1) : result;
  return { rows: (last?.rows ?? []) as Row[], rowCount: last?.rowCount ?? 0 };
}

/** A statement prepared before a migration changed its table; a new connection prepares it anew. */
function isStalePlan(error: unknown): boolean {
  return error instanceof Error && error.message === "cached plan must not change result type";
}
