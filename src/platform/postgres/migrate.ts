import type { Database } from "./database.ts";

/** One step of a schema. A list of them is append-only: what has been released is never edited. */
export interface Migration {
  readonly id: number;
  readonly name: string;
  /** Any number of statements, without transaction commands. */
  readonly sql: string;
}

/** Any number that nothing else in the database locks; the same in every gateway. */
const ADVISORY_LOCK = 7_237_519_021;

/** A big migration, or the wait for another gateway's, may well take longer than a statement may otherwise. */
const NO_TIMEOUTS = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";

/**
 * Brings the database up to `migrations`, each in a transaction of its own. Several gateways may
 * start at once: one migrates and the others wait for it. Refuses a database that a newer gateway
 * has migrated further, because this one does not know what it would break.
 */
export async function migrate(database: Database, migrations: readonly Migration[]): Promise<void> {
  checkOrder(migrations);
  const known = new Map(migrations.map((migration) => [migration.id, migration.name]));
  if (await isUpToDate(database, known)) return;

  for (const migration of migrations) {
    await database.transaction(async (transaction) => {
      await transaction.query(NO_TIMEOUTS);
      await transaction.query("SELECT pg_advisory_xact_lock($1)", [ADVISORY_LOCK]);
      await transaction.query(`
        CREATE TABLE IF NOT EXISTS schema_migrations (
          id bigint PRIMARY KEY,
          name text NOT NULL,
          applied_at timestamptz NOT NULL DEFAULT now()
        )`);
      const applied = await transaction.query("SELECT id FROM schema_migrations WHERE id = $1", [migration.id]);
      if (applied.rowCount > 0) return;
      await transaction.query(migration.sql);
      await transaction.query("INSERT INTO schema_migrations (id, name) VALUES ($1, $2)", [
        migration.id,
        migration.name,
      ]);
    });
  }
}

function checkOrder(migrations: readonly Migration[]): void {
  migrations.forEach((migration, index) => {
    const previous = migrations[index - 1];
    if (previous && previous.id >= migration.id) {
      throw new Error(`Migration ${migration.id} (${migration.name}) must have a higher id than ${previous.id}.`);
    }
  });
}

/** Whether nothing is left to do, so that an ordinary start takes no lock. Throws where the database is ahead of this gateway. */
async function isUpToDate(database: Database, known: ReadonlyMap<number, string>): Promise<boolean> {
  const table = await database.query<{ present: boolean }>(
    "SELECT to_regclass('schema_migrations') IS NOT NULL AS present",
    [],
  );
  if (!table.rows[0]?.present) return false;
  const applied = await database.query<{ id: number; name: string }>("SELECT id, name FROM schema_migrations", []);
  for (const { id, name } of applied.rows) {
    if (known.get(id) === name) continue;
    throw new Error(
      `The database holds migration ${id} (${name}), which this gateway does not know. ` +
        "A newer gateway has used it: run that version or a later one, or give this one a database of its own.",
    );
  }
  return applied.rows.length === known.size;
}
