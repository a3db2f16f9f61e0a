import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { AppError, invalidArgument, notFound } from "../../core/errors.ts";
import type { IdGenerator } from "../../core/ids.ts";
import { createPageTokens } from "../../core/page.ts";
import type { Principal } from "../../core/principal.ts";
import type { Database, Queryable } from "../../platform/postgres/database.ts";
import { refuseGranting } from "./access.ts";
import type { TenancyChanges } from "./changes.ts";
import { loadGrants } from "./grants.ts";
import { hashSecret, newKeyId, newKeyText } from "./key-format.ts";
import {
  countKeys,
  getKey,
  insertKey,
  type ListedKey,
  listKeys,
  lockKey,
  markKeyRevoked,
  rotateKey,
  type StoredKey,
} from "./key-store.ts";
import type {
  ApiKey,
  CreateApiKeyRequest,
  GetApiKeyRequest,
  ListApiKeysRequest,
  RotateApiKeyRequest,
} from "./model.ts";
import { lockNamespace } from "./namespace-store.ts";
import { deleteBindingsOfPrincipal, insertBinding, loadRolePermissions } from "./role-store.ts";

export interface KeyServiceOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly changes: TenancyChanges;
}

export interface KeyWithSecret {
  readonly apiKey: ApiKey;
  readonly secret: string;
}

export interface KeyService {
  create(request: CreateApiKeyRequest, creator: Principal): Promise<KeyWithSecret>;
  get(request: GetApiKeyRequest): Promise<ApiKey>;
  list(request: ListApiKeysRequest): Promise<{ apiKeys: ApiKey[]; nextPageToken?: string }>;
  revoke(request: GetApiKeyRequest): Promise<ApiKey>;
  rotate(request: RotateApiKeyRequest, rotator: Principal): Promise<KeyWithSecret>;
}

/** Keys that are not revoked; more are a sign of a program that makes them in a loop. */
const MAX_KEYS_PER_NAMESPACE = 10_000;
const PageToken = z.tuple([z.string().max(12)]);

export function createKeyService(options: KeyServiceOptions): KeyService {
  const { database, clock, ids, changes } = options;

  async function read(source: Queryable, { namespace, keyId }: GetApiKeyRequest): Promise<ApiKey> {
    const key = await getKey(source, namespace, keyId);
    if (key === undefined) throw notFound("api key", keyId);
    return toApiKey(key, clock.now());
  }

  async function createIn(
    transaction: Queryable,
    request: CreateApiKeyRequest,
    creator: Principal,
  ): Promise<KeyWithSecret> {
    const { namespace } = request;
    if ((await lockNamespace(transaction, namespace, "SHARE")) === undefined) throw notFound("namespace", namespace);
    if ((await countKeys(transaction, namespace)) >= MAX_KEYS_PER_NAMESPACE) throw tooManyKeys(namespace);
    const roles = [...new Set(request.roles)];
    const permissions = await loadRolePermissions(transaction, namespace, roles, (index) => `roles[${index}]`);
    refuseGranting(creator, permissions, namespace);

    const keyId = newKeyId(ids);
    const secret = newKeyText(keyId, ids);
    const createdAt = new Date(clock.now());
    await insertKey(transaction, {
      id: keyId,
      namespace,
      displayName: request.displayName ?? keyId,
      secretHash: hashSecret(secret),
      createdBy: creator.id,
      createdAt,
      expiresAt: expiryOf(request.expiresAt, createdAt),
    });
    for (const role of roles) {
      const binding = {
        id: ids.uuid(),
        namespace,
        principalId: `key:${keyId}`,
        role,
        createdBy: creator.id,
        createdAt,
      };
      await insertBinding(transaction, binding);
    }
    return { apiKey: await read(transaction, { namespace, keyId }), secret };
  }

  async function rotateIn(
    transaction: Queryable,
    request: RotateApiKeyRequest,
    rotator: Principal,
  ): Promise<KeyWithSecret> {
    const { namespace, keyId } = request;
    const key = await lockKey(transaction, namespace, keyId);
    if (key === undefined) throw notFound("api key", keyId);
    if (key.revoked_at !== null) throw keyRevoked(keyId);
    // Whoever sees the new secret can do all that the key can, wherever it was bound.
    for (const [scope, permissions] of await loadGrants(transaction, [`key:${keyId}`])) {
      refuseGranting(rotator, permissions, scope);
    }
    const secret = newKeyText(keyId, ids);
    const rotatedAt = new Date(clock.now());
    await rotateKey(transaction, {
      id: keyId,
      secretHash: hashSecret(secret),
      rotatedAt,
      previousValidUntil: request.graceMs === 0 ? null : new Date(rotatedAt.getTime() + request.graceMs),
      expiresAt: expiryOf(request.expiresAt, rotatedAt),
    });
    return { apiKey: await read(transaction, request), secret };
  }

  return {
    create: (request, creator) => database.transaction((transaction) => createIn(transaction, request, creator)),

    get: (request) => read(database, request),

    async list({ namespace, pageSize, pageToken }) {
      const tokens = createPageTokens(PageToken, ["keys.list", namespace]);
      const [after] = tokens.decode(pageToken) ?? [""];
      const found = await listKeys(database, namespace, after, pageSize + 1);
      const now = clock.now();
      const apiKeys = found.slice(0, pageSize).map((key) => toApiKey(key, now));
      if (found.length <= pageSize) return { apiKeys };
      return { apiKeys, nextPageToken: tokens.encode([apiKeys.at(-1)!.keyId]) };
    },

    async revoke({ namespace, keyId }) {
      const revoked = await database.transaction(async (transaction) => {
        if ((await lockKey(transaction, namespace, keyId)) === undefined) throw notFound("api key", keyId);
        await markKeyRevoked(transaction, keyId, new Date(clock.now()));
        await deleteBindingsOfPrincipal(transaction, `key:${keyId}`);
        return read(transaction, { namespace, keyId });
      });
      changes.publish({ kind: "principal", id: `key:${keyId}` });
      return revoked;
    },

    async rotate(request, rotator) {
      const rotated = await database.transaction((transaction) => rotateIn(transaction, request, rotator));
      changes.publish({ kind: "principal", id: `key:${request.keyId}` });
      return rotated;
    },
  };
}

function toApiKey(key: ListedKey, now: number): ApiKey {
  const previousValidUntil =
    key.previous_valid_until && key.previous_valid_until.getTime() > now ? key.previous_valid_until : undefined;
  return {
    keyId: key.id,
    namespace: key.namespace ?? "",
    displayName: key.display_name,
    roles: key.roles,
    state: stateOf(key, now),
    createdBy: key.created_by,
    createdAt: key.created_at.toISOString(),
    expiresAt: key.expires_at?.toISOString(),
    rotatedAt: key.rotated_at?.toISOString(),
    previousSecretValidUntil: previousValidUntil?.toISOString(),
    revokedAt: key.revoked_at?.toISOString(),
    lastUsedAt: key.last_used_at?.toISOString(),
  };
}

function stateOf(key: StoredKey, now: number): ApiKey["state"] {
  if (key.revoked_at !== null) return "REVOKED";
  return key.expires_at !== null && key.expires_at.getTime() <= now ? "EXPIRED" : "ACTIVE";
}

function expiryOf(asked: string | undefined, now: Date): Date | null {
  if (asked === undefined) return null;
  const expiresAt = new Date(asked);
  if (expiresAt > now) return expiresAt;
  throw invalidArgument([{ field: "expiresAt", message: "must lie in the future" }]);
}

function keyRevoked(keyId: string): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "API_KEY_REVOKED",
    `The key ${keyId} has been revoked and cannot be brought back. Create another one.`,
  );
}

function tooManyKeys(namespace: string): AppError {
  const description = `at most ${MAX_KEYS_PER_NAMESPACE} keys that are not revoked`;
  return new AppError(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_API_KEYS",
    `Namespace "${namespace}" may have ${description}. Revoke those that nobody uses.`,
    { details: { quota: { subject: `namespaces/${namespace}`, description } } },
  );
}
