import type pg from "pg";
import type { Database, Queryable, QueryResult } from "./database.ts";
import { isConnectionError, mapDatabaseError } from "./database-error.ts";
import { tellLostAnswer } from "./lost-answer.ts";
import { createPostgresPool } from "./postgres-pool.ts";
import { observeQuery, type QueryObserver } from "./query-observer.ts";
import { retryTransient } from "./retry.ts";
import { createSlots, giveEach, type Slots, takeEach } from "./slots.ts";
import { createStatementKinds, type StatementKind } from "./statement-kinds.ts";

export interface PostgresDatabaseOptions {
  /** `postgres://user:password@host:port/database`; `?sslmode=` and the like are understood. */
  readonly url: string;
  readonly maxConnections?: number;
  /** How long a statement may run before Postgres ends it. */
  readonly statementTimeoutMs?: number;
  /** How long a statement may wait for a lock before Postgres ends it. */
  readonly lockTimeoutMs?: number;
  /** How long to wait for a connection, new or from the pool. */
  readonly connectTimeoutMs?: number;
  readonly applicationName?: string;
  readonly onQuery?: QueryObserver | undefined;
  /** Hears of idle connections that broke, e.g. because Postgres was restarted. */
  readonly onConnectionError?: (error: Error) => void;
}

export interface PostgresDatabase extends Database {
  /**
   * The same database for what is short and must go on when other statements hang, such as
   * authentication: some of the connections are kept for it. Closed with the database itself.
   */
  readonly reserved: Database;
}

const DEFAULT_MAX_CONNECTIONS = 20;
const DEFAULT_STATEMENT_TIMEOUT_MS = 30_000;
const DEFAULT_LOCK_TIMEOUT_MS = 5_000;
const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;

/** The connections that statements of one text may hold, and that all but the reserved may. */
const SHARE_OF_ONE_KIND = 0.6;
const SHARE_OF_UNRESERVED = 0.8;

/** A pool of connections to a Postgres server. It connects when first asked, and again whenever it must. */
export function createPostgresDatabase(options: PostgresDatabaseOptions): PostgresDatabase {
  const {
    maxConnections = DEFAULT_MAX_CONNECTIONS,
    connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS,
    onQuery,
    onConnectionError,
  } = options;
  const pool = createPostgresPool({
    url: options.url,
    maxConnections,
    statementTimeoutMs: options.statementTimeoutMs ?? DEFAULT_STATEMENT_TIMEOUT_MS,
    lockTimeoutMs: options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS,
    connectTimeoutMs,
    applicationName: options.applicationName ?? "tarl-gateway",
    onConnectionError,
  });
  const shareOf = (share: number) => Math.max(1, Math.floor(maxConnections * share));
  const kindOf = createStatementKinds({ maxConnectionsEach: shareOf(SHARE_OF_ONE_KIND), waitMs: connectTimeoutMs });
  const unreserved = createSlots(shareOf(SHARE_OF_UNRESERVED), connectTimeoutMs);

  const connect = async (kind: StatementKind, others: readonly Slots[]): Promise<Connection> => {
    const held = [kind.slots, ...others];
    const turn = takeEach(held);
    if (turn) await turn;
    try {
      const client = await pool.connect();
      return {
        client,
        release(error) {
          client.release(isUnusable(error));
          giveEach(held);
        },
      };
    } catch (error) {
      giveEach(held);
      throw error;
    }
  };
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= pool.end();
    return closing;
  };
  const view = (slots: readonly Slots[]): Database => ({
    engine: "postgres",
    ...createSession({ kindOf, connect: (kind) => connect(kind, slots), onQuery }),
    close,
  });
  return { ...view([unreserved]), reserved: view([]) };
}

/** A connection out of the pool; `release` is told the error that ended its use. */
interface Connection {
  readonly client: pg.PoolClient;
  release(error?: unknown): void;
}

interface SessionOptions {
  readonly kindOf: (text: string, isPrepared: boolean) => StatementKind;
  readonly connect: (kind: StatementKind) => Promise<Connection>;
  readonly onQuery: QueryObserver | undefined;
}

/** Statements and transactions, each on a connection that is taken for it. */
function createSession({ kindOf, connect, onQuery }: SessionOptions): Pick<Database, "query" | "transaction"> {
  const run = <Row>(client: pg.PoolClient, text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> => {
    const { name } = kindOf(text, values !== undefined);
    if (onQuery === undefined) return runStatement<Row>(client, name, text, values);
    return observeQuery(onQuery, text, () => runStatement<Row>(client, name, text, values));
  };

  const runAlone = async <Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> => {
    const connection = await connect(kindOf(text, values !== undefined));
    try {
      const result = await run<Row>(connection.client, text, values);
      connection.release();
      return result;
    } catch (error) {
      connection.release(error);
      throw tellLostAnswer(error, [text]);
    }
  };

  const begin = async (kind: StatementKind): Promise<Connection> => {
    const connection = await connect(kind);
    try {
      await run(connection.client, "BEGIN");
      return connection;
    } catch (error) {
      connection.release(error);
      throw error;
    }
  };

  /** Begins with its first statement, which says of what kind it is. */
  const runTransaction = async <T>(work: (transaction: Queryable) => Promise<T>): Promise<T> => {
    let beginning: Promise<Connection> | undefined;
    const sent: string[] = [];
    const query = async <Row>(text: string, values?: readonly unknown[]) => {
      beginning ??= begin(kindOf(text, values !== undefined));
      const { client } = await beginning;
      sent.push(text);
      return run<Row>(client, text, values);
    };
    try {
      const result = await work({ query });
      const connection = await beginning;
      if (connection) await commit(connection, sent);
      connection?.release();
      return result;
    } catch (error) {
      const connection = await beginning?.catch(() => undefined);
      if (connection) await rollBack(connection, error);
      throw error;
    }
  };

  /** Before it, a lost connection means that nothing has changed. */
  const commit = async ({ client }: Connection, sent: readonly string[]) => {
    try {
      await run(client, "COMMIT");
    } catch (error) {
      throw tellLostAnswer(error, sent);
    }
  };

  const mapped = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await retryTransient(work);
    } catch (error) {
      throw mapDatabaseError(error);
    }
  };
  return {
    query: (text, values) => mapped(() => runAlone(text, values)),
    transaction: (work) => mapped(() => runTransaction(work)),
  };
}

async function rollBack({ client, release }: Connection, cause: unknown): Promise<void> {
  if (isConnectionError(cause)) return release(cause);
  try {
    await client.query("ROLLBACK");
    release(cause);
  } catch (error) {
    // It is still inside of the failed transaction.
    release(new UnusableConnection("ROLLBACK failed", { cause: error }));
  }
}

class UnusableConnection extends Error {}

async function runStatement<Row>(
  client: pg.PoolClient,
  name: string | undefined,
  text: string,
  values: readonly unknown[] | undefined,
): Promise<QueryResult<Row>> {
  if (values === undefined) return lastResult<Row>(await client.query(text));
  const result = await client.query(
    name === undefined ? { text, values: values as unknown[] } : { name, text, values: values as unknown[] },
  );
  return { rows: result.rows as Row[], rowCount: result.rowCount ?? 0 };
}

/** node-postgres answers a text of several statements with a list of results. */
function lastResult<Row>(result: pg.QueryResult | pg.QueryResult[]): QueryResult<Row> {
  const last = Array.isArray(result) ? result.at(-1) : result;
  return { rows: (last?.rows ?? []) as Row[], rowCount: last?.rowCount ?? 0 };
}

/** Whether the connection that gave `error` must not serve again. */
function isUnusable(error: unknown): boolean {
  return isConnectionError(error) || isStalePlan(error) || error instanceof UnusableConnection;
}

/** A statement prepared before a migration changed its table; a new connection prepares it anew. */
function isStalePlan(error: unknown): boolean {
  return error instanceof Error && error.message === "cached plan must not change result type";
}
