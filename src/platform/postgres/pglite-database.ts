import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { PGlite, types } from "@electric-sql/pglite";
import type { Database, Queryable, QueryResult } from "./database.ts";
import { mapDatabaseError } from "./database-error.ts";
import { type FolderLock, lockFolder } from "./folder-lock.ts";
import { copyPgliteTemplate } from "./pglite-template.ts";
import { observeQuery, type QueryObserver } from "./query-observer.ts";
import { retryTransient } from "./retry.ts";

export interface PgliteDatabaseOptions {
  /** The folder that holds the data; undefined keeps it in memory, for tests. */
  readonly dataDir?: string | undefined;
  /** What a new `dataDir` is copied from, where it is there (see pgliteTemplateDir): initialising a database takes seconds. */
  readonly templateDir?: string | undefined;
  readonly onQuery?: QueryObserver;
  /** How often dead rows are cleared away and statistics renewed. */
  readonly vacuumEveryMs?: number;
}

const VACUUM_EVERY_MS = 10 * 60_000;

const BYTEA_OID = 17;

/** What both kinds of PGlite handle offer: the database itself, and a transaction in it. */
interface Session {
  query<Row>(text: string, values: unknown[]): Promise<PgliteResult<Row>>;
  exec(text: string): Promise<PgliteResult<unknown>[]>;
}

interface PgliteResult<Row> {
  readonly rows: Row[];
  readonly fields: readonly unknown[];
  readonly affectedRows?: number;
}

/**
 * Postgres inside this process. It has one connection, so statements and transactions run one
 * after another; a statement outside of a transaction waits until it ends, and must therefore not
 * be awaited inside of one.
 *
 * What was acknowledged has been handed to the operating system, so it survives the death of this
 * process at any moment. It is not forced to the disk (PGlite's file system has no fsync): for a
 * machine that may lose power, use a Postgres of its own.
 */
export async function createPgliteDatabase(options: PgliteDatabaseOptions = {}): Promise<Database> {
  const { dataDir, templateDir } = options;
  const lock = dataDir === undefined ? undefined : await lockAndMakeFolder(dataDir);
  const open = async () => {
    if (dataDir !== undefined && templateDir !== undefined) await copyPgliteTemplate(templateDir, dataDir);
    return openEngine(dataDir);
  };
  const engine = await open().catch(async (error) => {
    await lock?.release();
    throw error;
  });
  const { onQuery } = options;

  const runOn = async <Row>(session: Session, text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> => {
    const run = () => runStatement<Row>(session, text, values);
    return onQuery ? observeQuery(onQuery, text, run) : run();
  };

  let closing: Promise<void> | undefined;
  const stopVacuum = startVacuum(engine, options.vacuumEveryMs ?? VACUUM_EVERY_MS);
  const close = async () => {
    await stopVacuum();
    await engine.close();
    await lock?.release();
  };
  return {
    engine: "pglite",
    async query<Row>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>> {
      try {
        return await retryTransient(() => runOn<Row>(engine, text, values));
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    async transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T> {
      try {
        return await retryTransient(() =>
          engine.transaction((session) => work({ query: (text, values) => runOn(session, text, values) })),
        );
      } catch (error) {
        throw mapDatabaseError(error);
      }
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
}

async function lockAndMakeFolder(dataDir: string): Promise<FolderLock> {
  // What it will hold is nobody else's.
  await mkdir(dirname(dataDir), { recursive: true, mode: 0o700 });
  return lockFolder(dataDir);
}

async function openEngine(dataDir: string | undefined): Promise<PGlite> {
  return PGlite.create({
    ...(dataDir === undefined ? {} : { dataDir }),
    // A statement is answered only when its data has been written to the files.
    relaxedDurability: false,
    parsers: {
      [types.INT8]: Number,
      [BYTEA_OID]: (text) => Buffer.from(text.slice(2), "hex"),
    },
  });
}

/** Vacuums all tables from time to time, one after another so that others get their turn: PGlite has no autovacuum. */
function startVacuum(engine: PGlite, everyMs: number): () => Promise<void> {
  let running: Promise<void> | undefined;
  let stopped = false;
  const vacuum = async () => {
    const { rows } = await engine.query<{ statement: string }>(
      "SELECT format('VACUUM (ANALYZE) %s', relid::regclass) AS statement FROM pg_stat_user_tables",
    );
    for (const { statement } of rows) if (!stopped) await engine.query(statement);
  };
  const timer = setInterval(() => {
    // A table may be dropped meanwhile; the next round sees the rest.
    running ??= vacuum()
      .catch(() => {})
      .finally(() => {
        running = undefined;
      });
  }, everyMs);
  timer.unref();
  return async () => {
    stopped = true;
    clearInterval(timer);
    await running;
  };
}

async function runStatement<Row>(
  session: Session,
  text: string,
  values: readonly unknown[] | undefined,
): Promise<QueryResult<Row>> {
  const result =
    values === undefined
      ? ((await session.exec(text)).at(-1) as PgliteResult<Row> | undefined)
      : await session.query<Row>(text, values as unknown[]);
  if (result === undefined) return { rows: [], rowCount: 0 };
  const rowCount = result.fields.length > 0 ? result.rows.length : (result.affectedRows ?? 0);
  return { rows: result.rows, rowCount };
}
