import { randomBytes } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";

export { type PostgresServer, type PostgresServerOptions, startPostgres } from "./postgres-server.ts";

export interface TestDatabase {
  readonly url: string;
  /** Removes it, whoever is still connected. */
  drop(): Promise<void>;
}

/** Makes an empty database of its own on the Postgres of this test run, or on the one at `serverUrl`. */
export async function createTestDatabase(serverUrl: string = inject("postgresUrl")): Promise<TestDatabase> {
  const name = `tarl_test_${randomBytes(8).toString("hex")}`;
  await runOnServer(serverUrl, `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'UTF8'`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => runOnServer(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

async function runOnServer(serverUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
