import { setImmediate as nextTurn } from "node:timers/promises";
import type { DuckDBConnection, DuckDBDataChunk, DuckDBType, DuckDBValue } from "@duckdb/node-api";
import { toDuckdbError } from "./duckdb-error.ts";

/** The types in which values travel between JavaScript and DuckDB. Whole numbers and times travel as DOUBLE. */
export type WireType = "BOOLEAN" | "DOUBLE" | "VARCHAR" | "BLOB" | "BOOLEAN[]" | "DOUBLE[]" | "VARCHAR[]" | "FLOAT[]";

/** A value on its way in. Lists are arrays or typed arrays. */
export type WireInput = boolean | number | string | Uint8Array | ArrayLike<boolean | number | string> | null;

/** A value on its way out: BLOB as Uint8Array, lists as arrays. */
export type WireOutput = boolean | number | string | Uint8Array | (boolean | number | string)[] | null;

/** Part of a result: columns of equal length. */
export interface WireChunk {
  readonly rowCount: number;
  readonly columnCount: number;
  column(index: number): WireOutput[];
  /** One value, where a whole column would be more than is wanted in memory. */
  value(column: number, row: number): WireOutput;
}

/** One connection. Statements run one after another; all end when the signal of the query is aborted. */
export interface DuckdbSession {
  run(sql: string): Promise<void>;
  /** A small result as rows of wire values. `values` are the statement's `$1` and so on. */
  rows(sql: string, values?: readonly (string | number)[]): Promise<WireOutput[][]>;
  /** A large result, read step by step. */
  chunks(sql: string, values?: readonly (string | number)[]): AsyncGenerator<WireChunk>;
  /** Appends rows to a temporary table that has exactly these columns; others get their turn in between. */
  append(
    table: string,
    types: readonly WireType[],
    rowCount: number,
    valueAt: (column: number, row: number) => WireInput,
  ): Promise<void>;
}

/** An interrupt that comes before a statement has begun is forgotten, so it is repeated until the statement ended. */
const INTERRUPT_EVERY_MS = 20;

/** What a vector of DuckDB holds at most. */
const CHUNK_ROWS = 2048;

export function createSession(connection: DuckDBConnection, signal: AbortSignal | undefined): DuckdbSession {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    signal?.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    const interrupt = () => {
      connection.interrupt();
      timer = setInterval(() => connection.interrupt(), INTERRUPT_EVERY_MS);
    };
    signal?.addEventListener("abort", interrupt, { once: true });
    try {
      return await work();
    } catch (error) {
      throw toDuckdbError(error);
    } finally {
      signal?.removeEventListener("abort", interrupt);
      clearInterval(timer);
    }
  };

  const session: DuckdbSession = {
    async run(sql) {
      await guarded(() => connection.run(sql));
    },
    async rows(sql, values) {
      const rows: WireOutput[][] = [];
      for await (const chunk of session.chunks(sql, values)) {
        const columns = Array.from({ length: chunk.columnCount }, (_, index) => chunk.column(index));
        for (let row = 0; row < chunk.rowCount; row++) rows.push(columns.map((column) => column[row]!));
      }
      return rows;
    },
    async *chunks(sql, values) {
      const result = await guarded(() => connection.stream(sql, values && [...values]));
      for (;;) {
        const chunk = await guarded(() => result.fetchChunk());
        if (chunk === null || chunk.rowCount === 0) return;
        yield readChunk(chunk);
      }
    },
    async append(table, types, rowCount, valueAt) {
      await guarded(() => appendRows(connection, table, types, rowCount, valueAt, signal));
    },
  };
  return session;
}

function readChunk(chunk: DuckDBDataChunk): WireChunk {
  return {
    rowCount: chunk.rowCount,
    columnCount: chunk.columnCount,
    column: (index) => chunk.getColumnValues(index).map(readValue),
    value: (column, row) => readValue(chunk.getColumnVector(column).getItem(row)),
  };
}

function readValue(value: DuckDBValue): WireOutput {
  if (typeof value !== "object" || value === null) return value as WireOutput;
  if ("items" in value && Array.isArray(value.items)) return value.items as (boolean | number | string)[];
  if ("bytes" in value) return Uint8Array.from(value.bytes as Uint8Array);
  throw new TypeError("A result has a column of a type that is not made for the wire.");
}

async function appendRows(
  connection: DuckDBConnection,
  table: string,
  types: readonly WireType[],
  rowCount: number,
  valueAt: (column: number, row: number) => WireInput,
  signal: AbortSignal | undefined,
): Promise<void> {
  const duckdb = await import("@duckdb/node-api");
  const { BLOB, BOOLEAN, DOUBLE, DuckDBDataChunk, FLOAT, LIST, VARCHAR, blobValue, listValue } = duckdb;
  const TYPES: Record<WireType, DuckDBType> = {
    BOOLEAN,
    DOUBLE,
    VARCHAR,
    BLOB,
    "BOOLEAN[]": LIST(BOOLEAN),
    "DOUBLE[]": LIST(DOUBLE),
    "VARCHAR[]": LIST(VARCHAR),
    "FLOAT[]": LIST(FLOAT),
  };
  const wrap = (type: WireType, value: WireInput): DuckDBValue => {
    if (value === null) return null;
    if (type === "BLOB") return blobValue(value as Uint8Array);
    return type.endsWith("[]") ? listValue(Array.from(value as ArrayLike<DuckDBValue>)) : (value as DuckDBValue);
  };
  const appender = await connection.createAppender(table, "main", "temp");
  try {
    for (let first = 0; first < rowCount; first += CHUNK_ROWS) {
      const count = Math.min(CHUNK_ROWS, rowCount - first);
      const chunk = DuckDBDataChunk.create(
        types.map((type) => TYPES[type]),
        count,
      );
      for (const [column, type] of types.entries()) {
        chunk.setColumnValues(
          column,
          Array.from({ length: count }, (_, row) => wrap(type, valueAt(column, first + row))),
        );
      }
      appender.appendDataChunk(chunk);
      await nextTurn();
      signal?.throwIfAborted();
    }
    appender.flushSync();
  } finally {
    appender.closeSync();
  }
}
