import type { Queryable } from "../../platform/postgres/database.ts";

/** A key as stored. Of the secret only its SHA-256 is known. */
export interface StoredKey {
  readonly id: string;
  /** Null for keys of the whole gateway. */
  readonly namespace: string | null;
  readonly display_name: string;
  readonly secret_hash: Buffer;
  readonly previous_secret_hash: Buffer | null;
  readonly previous_valid_until: Date | null;
  readonly created_by: string;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly rotated_at: Date | null;
  readonly revoked_at: Date | null;
  readonly last_used_at: Date | null;
}

export interface ListedKey extends StoredKey {
  readonly roles: string[];
}

export interface NewKey {
  readonly id: string;
  readonly namespace: string | null;
  readonly displayName: string;
  readonly secretHash: Buffer;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
}

const ROLES = `ARRAY(
  SELECT binding.role FROM role_bindings AS binding
  WHERE binding.principal_id = 'key:' || api_keys.id AND binding.namespace = api_keys.namespace
  ORDER BY binding.role) AS roles`;

export async function insertKey(database: Queryable, key: NewKey): Promise<void> {
  await database.query(
    `INSERT INTO api_keys (id, namespace, display_name, secret_hash, created_by, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [key.id, key.namespace, key.displayName, key.secretHash, key.createdBy, key.createdAt, key.expiresAt],
  );
}

/** Any key, of whichever namespace. */
export async function findKey(database: Queryable, id: string): Promise<StoredKey | undefined> {
  const { rows } = await database.query<StoredKey>("SELECT * FROM api_keys WHERE id = $1", [id]);
  return rows[0];
}

/** A key of this namespace, held until the transaction ends. */
export async function lockKey(database: Queryable, namespace: string, id: string): Promise<StoredKey | undefined> {
  const { rows } = await database.query<StoredKey>(
    "SELECT * FROM api_keys WHERE namespace = $1 AND id = $2 FOR UPDATE",
    [namespace, id],
  );
  return rows[0];
}

export async function getKey(database: Queryable, namespace: string, id: string): Promise<ListedKey | undefined> {
  const { rows } = await database.query<ListedKey>(
    `SELECT api_keys.*, ${ROLES} FROM api_keys WHERE namespace = $1 AND id = $2`,
    [namespace, id],
  );
  return rows[0];
}

export async function listKeys(
  database: Queryable,
  namespace: string,
  afterId: string,
  count: number,
): Promise<ListedKey[]> {
  const { rows } = await database.query<ListedKey>(
    `SELECT api_keys.*, ${ROLES} FROM api_keys WHERE namespace = $1 AND id > $2 ORDER BY id LIMIT $3`,
    [namespace, afterId, count],
  );
  return rows;
}

export async function countKeys(database: Queryable, namespace: string): Promise<number> {
  const { rows } = await database.query<{ count: number }>(
    "SELECT count(*) AS count FROM api_keys WHERE namespace = $1 AND revoked_at IS NULL",
    [namespace],
  );
  return rows[0]!.count;
}

export interface KeyRotation {
  readonly id: string;
  readonly secretHash: Buffer;
  readonly rotatedAt: Date;
  /** Null: the secret before ends at once. */
  readonly previousValidUntil: Date | null;
  /** Null: as before. */
  readonly expiresAt: Date | null;
}

export async function rotateKey(database: Queryable, rotation: KeyRotation): Promise<void> {
  await database.query(
    `UPDATE api_keys SET
       previous_secret_hash = CASE WHEN $4::timestamptz IS NULL THEN NULL ELSE secret_hash END,
       previous_valid_until = $4,
       secret_hash = $2,
       rotated_at = $3,
       expires_at = coalesce($5, expires_at)
     WHERE id = $1`,
    [rotation.id, rotation.secretHash, rotation.rotatedAt, rotation.previousValidUntil, rotation.expiresAt],
  );
}

export async function markKeyRevoked(database: Queryable, id: string, revokedAt: Date): Promise<void> {
  await database.query("UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1", [id, revokedAt]);
}

/** Written at most once per `everyMs`, whichever gateway comes first. */
export async function touchKey(database: Queryable, id: string, usedAt: Date, everyMs: number): Promise<void> {
  await database.query(
    `UPDATE api_keys SET last_used_at = $2
     WHERE id = $1 AND (last_used_at IS NULL OR last_used_at <= $2::timestamptz - make_interval(secs => $3))`,
    [id, usedAt, everyMs / 1000],
  );
}
