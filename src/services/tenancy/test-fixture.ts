import type { Clock } from "../../core/clock.ts";
import { createIdGenerator } from "../../core/ids.ts";
import { silentLogger } from "../../core/logger.ts";
import type { Principal } from "../../core/principal.ts";
import { createLocalPubSub } from "../../platform/local-pubsub.ts";
import type { Database } from "../../platform/postgres/database.ts";
import { type Migration, migrate } from "../../platform/postgres/migrate.ts";
import { createPgliteDatabase } from "../../platform/postgres/pglite-database.ts";
import { ensureAdminKey } from "./admin-key.ts";
import { TENANCY_MIGRATIONS } from "./migrations.ts";
import { createTenancy, type Tenancy, type TenancyOptions } from "./tenancy.ts";

/** Time that stands still until a test moves it. */
export interface TestClock extends Clock {
  advance(ms: number): void;
}

export function createTestClock(startMs = Date.UTC(2027, 0, 1)): TestClock {
  let elapsedMs = 0;
  return {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    advance(ms) {
      elapsedMs += ms;
    },
  };
}

export interface TenancyFixture {
  readonly database: Database;
  readonly clock: TestClock;
  readonly tenancy: Tenancy;
  readonly adminKey: string;
  readonly admin: Principal;
  /** Statements run so far. */
  queries(): number;
  /** The principal behind a key's text. */
  principalOf(secret: string): Promise<Principal>;
  /** A new namespace's name. */
  createNamespace(isolation?: "STRICT" | "SHARED" | "NONE"): Promise<string>;
  /** A new key of a namespace, made by the admin. */
  createKey(namespace: string, ...roles: string[]): Promise<{ keyId: string; secret: string; principal: Principal }>;
  close(): Promise<void>;
}

/** Tenancy on a database in memory, with an admin. */
export async function createTenancyFixture(
  options: Partial<TenancyOptions> = {},
  migrations: readonly Migration[] = TENANCY_MIGRATIONS,
): Promise<TenancyFixture> {
  const clock = createTestClock();
  const ids = createIdGenerator(clock);
  let queryCount = 0;
  const database = await createPgliteDatabase({
    onQuery: (text) => {
      // Noting that a key was used happens beside the calls, whenever it likes.
      if (!text.startsWith("UPDATE api_keys SET last_used_at")) queryCount += 1;
    },
  });
  await migrate(database, migrations);
  const tenancy = createTenancy({
    database,
    pubsub: createLocalPubSub(),
    clock,
    ids,
    logger: silentLogger,
    ...options,
  });
  await tenancy.start();
  const adminKey = (await ensureAdminKey({ database, clock, ids }))!;
  const principalOf = (secret: string) => tenancy.authenticator.authenticate(`Bearer ${secret}`);
  const admin = await principalOf(adminKey);
  let namespaces = 0;

  return {
    database,
    clock,
    tenancy,
    adminKey,
    admin,
    queries: () => queryCount,
    principalOf,
    async createNamespace(isolation = "SHARED") {
      namespaces += 1;
      const { name } = await tenancy.services.namespaces.create({ name: `space-${namespaces}`, isolation });
      return name;
    },
    async createKey(namespace, ...roles) {
      const { apiKey, secret } = await tenancy.services.apiKeys.create({ namespace, roles }, admin);
      return { keyId: apiKey.keyId, secret, principal: await principalOf(secret) };
    },
    async close() {
      await tenancy.stop(1000);
      await database.close();
    },
  };
}
