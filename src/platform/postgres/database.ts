export interface QueryResult<Row> {
  readonly rows: Row[];
  /** Rows affected by the statement. */
  readonly rowCount: number;
}

/**
 * What both engines can do. Statements are constant texts with `$1` parameters, so they are
 * prepared once per connection. int8 comes back as a number, timestamptz as a Date, json as a value.
 * Without `values` (not even an empty list) a text is not prepared and may hold several statements;
 * the result of the last one is answered. Pass JSON as text and cast it (`$1::json`), arrays as JavaScript arrays with a cast (`$1::text[]`).
 */
export interface Queryable {
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryResult<Row>>;
}

export interface Database extends Queryable {
  readonly engine: "postgres" | "pglite";
  /**
   * Runs `work` in one transaction (READ COMMITTED) and commits what it did. It runs again, from
   * the start, when Postgres gave up on a deadlock or a serialization failure.
   */
  transaction<T>(work: (transaction: Queryable) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}
