import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join, resolve, sep } from "node:path";
import type { DuckDBInstance } from "@duckdb/node-api";
import { AppError } from "../../core/errors.ts";
import { mapDuckdbError } from "./duckdb-error.ts";
import { createSemaphore } from "./semaphore.ts";
import { createSession, type DuckdbSession } from "./session.ts";
import { escapePattern, quoteText } from "./sql-text.ts";

export interface DuckdbOptions {
  /** The only folder whose files it may read or write. */
  readonly dataDir: string;
  /** What does not fit is spilled to `dataDir`. */
  readonly memoryLimitMb?: number | undefined;
  readonly threads?: number | undefined;
  /** How many queries run at once. Each takes a thread of Node's pool, which has four. */
  readonly maxConcurrent?: number | undefined;
}

export const DEFAULT_MEMORY_LIMIT_MB = 1024;
const MAX_DEFAULT_THREADS = 4;
const DEFAULT_MAX_CONCURRENT = 2;

/** The folder below the data folder for what does not fit into memory; each process has one of its own in it. */
export const SPILL_FOLDER = "duckdb-spill";

/** DuckDB inside this process, without a database file: a query engine over files. */
export interface Duckdb {
  /**
   * Runs `work` on a connection of its own. Temporary tables end with it. Do not call it again from
   * inside of `work`: both would wait for a place.
   */
  use<T>(work: (session: DuckdbSession) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** The same for a result that is read step by step; leaving the iteration ends the query. */
  iterate<T>(work: (session: DuckdbSession) => AsyncIterable<T>, signal?: AbortSignal): AsyncGenerator<T>;
  /** Waits for queries that run. */
  close(): Promise<void>;
}

/** Nothing is loaded before the first query: the library costs a start a tenth of a second. */
export function createDuckdb(options: DuckdbOptions): Duckdb {
  const spillDir = join(resolve(options.dataDir), SPILL_FOLDER, randomUUID());
  const places = options.maxConcurrent ?? DEFAULT_MAX_CONCURRENT;
  const semaphore = createSemaphore(places);
  let opening: Promise<DuckDBInstance> | undefined;
  let closing: Promise<void> | undefined;

  const begin = async (signal: AbortSignal | undefined) => {
    if (closing) throw new AppError("UNAVAILABLE", "SHUTTING_DOWN", "The gateway is shutting down. Try another one.");
    const release = await semaphore.acquire(signal);
    try {
      // DuckDB expects the folder to stay, and somebody may have tidied up.
      await mkdir(spillDir, { recursive: true });
      opening ??= open(options, spillDir).catch((error) => {
        opening = undefined;
        throw error;
      });
      const connection = await (await opening).connect();
      const end = () => {
        connection.disconnectSync();
        release();
      };
      return { session: createSession(connection, signal), end };
    } catch (error) {
      release();
      throw error;
    }
  };

  return {
    async use(work, signal) {
      const { session, end } = await begin(signal);
      try {
        return await work(session);
      } catch (error) {
        throw fail(error, signal);
      } finally {
        end();
      }
    },
    async *iterate(work, signal) {
      const { session, end } = await begin(signal);
      try {
        yield* work(session);
      } catch (error) {
        throw fail(error, signal);
      } finally {
        end();
      }
    },
    close() {
      closing ??= (async () => {
        await Promise.all(Array.from({ length: places }, () => semaphore.acquire()));
        (await opening?.catch(() => undefined))?.closeSync();
        await rm(spillDir, { recursive: true, force: true });
      })();
      return closing;
    },
  };
}

/** Who gave up on a query hears why they did, and not that it was interrupted. */
function fail(error: unknown, signal: AbortSignal | undefined): unknown {
  const mapped = mapDuckdbError(error);
  const interrupted = mapped instanceof AppError && mapped.code === "CANCELLED";
  return interrupted && signal?.aborted && signal.reason instanceof AppError ? signal.reason : mapped;
}

async function open(options: DuckdbOptions, spillDir: string): Promise<DuckDBInstance> {
  const { DuckDBInstance } = await import("@duckdb/node-api");
  const instance = await DuckDBInstance.create(":memory:", {
    memory_limit: `${options.memoryLimitMb ?? DEFAULT_MEMORY_LIMIT_MB}MiB`,
    threads: String(options.threads ?? Math.min(availableParallelism(), MAX_DEFAULT_THREADS)),
    temp_directory: spillDir,
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
    allow_community_extensions: "false",
  });
  const connection = await instance.connect();
  const folder = resolve(options.dataDir) + sep;
  try {
    for (const statement of [
      "SET GLOBAL TimeZone = 'UTC'",
      // A pattern is checked as it is written, and then the files that it matches.
      `SET allowed_directories = [${quoteText(folder)}, ${quoteText(escapePattern(folder))}]`,
      "SET enable_external_access = false",
      "SET lock_configuration = true",
    ]) {
      await connection.run(statement);
    }
  } finally {
    connection.disconnectSync();
  }
  return instance;
}
