import type { Clock } from "../../core/clock.ts";
import { AppError } from "../../core/errors.ts";
import type { IdGenerator } from "../../core/ids.ts";
import type { Database, Queryable } from "../../platform/postgres/database.ts";
import { hashSecret, isKeyText, keyIdOf, newKeyId, newKeyText } from "./key-format.ts";
import { insertKey } from "./key-store.ts";
import { insertBinding } from "./role-store.ts";

export interface AdminKeyOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly ids: IdGenerator;
}

/**
 * Makes a key that may do everything in the whole gateway, where there is none. `offered` is taken
 * as that key if it is one, so that several gateways can be given one key in advance. Answers the
 * key's text, or undefined where one was there.
 */
export function ensureAdminKey(options: AdminKeyOptions, offered?: string): Promise<string | undefined> {
  if (offered !== undefined && !isKeyText(offered)) {
    throw new AppError(
      "FAILED_PRECONDITION",
      "ADMIN_KEY_INVALID",
      "The admin key file holds something that is not a key. Put a key that the gateway made back, or remove the file.",
    );
  }
  return options.database.transaction(async (transaction) => {
    await lockKeys(transaction);
    const { rows } = await transaction.query(
      "SELECT 1 FROM api_keys WHERE namespace IS NULL AND revoked_at IS NULL LIMIT 1",
      [],
    );
    return rows.length > 0 ? undefined : insertAdminKey(transaction, options, offered);
  });
}

/** Makes another such key and ends all earlier ones: the way back in for who has lost it or fears that others have it. */
export function createAdminKey(options: AdminKeyOptions): Promise<string> {
  return options.database.transaction(async (transaction) => {
    await lockKeys(transaction);
    const now = new Date(options.clock.now());
    const { rows } = await transaction.query<{ id: string }>(
      "UPDATE api_keys SET revoked_at = $1 WHERE namespace IS NULL AND revoked_at IS NULL RETURNING id",
      [now],
    );
    const ended = rows.map(({ id }) => `key:${id}`);
    await transaction.query("DELETE FROM role_bindings WHERE principal_id = ANY ($1::text[])", [ended]);
    return insertAdminKey(transaction, options);
  });
}

/** Gateways that start together must not each make one. */
async function lockKeys(transaction: Queryable): Promise<void> {
  await transaction.query("LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE", []);
}

async function insertAdminKey(
  transaction: Queryable,
  { clock, ids }: AdminKeyOptions,
  offered?: string,
): Promise<string> {
  const text = offered ?? newKeyText(newKeyId(ids), ids);
  const id = keyIdOf(text);
  const createdAt = new Date(clock.now());
  await insertKey(transaction, {
    id,
    namespace: null,
    displayName: "admin",
    secretHash: hashSecret(text),
    createdBy: "gateway",
    createdAt,
    expiresAt: null,
  });
  await insertBinding(transaction, {
    id: ids.uuid(),
    namespace: null,
    principalId: `key:${id}`,
    role: "admin",
    createdBy: "gateway",
    createdAt,
  });
  return text;
}
