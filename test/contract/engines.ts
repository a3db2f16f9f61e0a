import type { Database } from "../../src/platform/postgres/database.ts";
import { createPgliteDatabase } from "../../src/platform/postgres/pglite-database.ts";
import { createPostgresDatabase } from "../../src/platform/postgres/postgres-database.ts";
import { createTestDatabase } from "../support/postgres.ts";

/** A database to test on, and how to end it. */
export interface OpenEngine {
  readonly database: Database;
  close(): Promise<void>;
}

/** Both engines, each giving an empty database. */
export const databaseEngines: readonly { name: string; open(): Promise<OpenEngine> }[] = [
  {
    name: "PGlite",
    async open() {
      const database = await createPgliteDatabase();
      return { database, close: () => database.close() };
    },
  },
  {
    name: "Postgres",
    async open() {
      const { url, drop } = await createTestDatabase();
      const database = createPostgresDatabase({ url, maxConnections: 10 });
      return {
        database,
        async close() {
          await database.close();
          await drop();
        },
      };
    },
  },
];
