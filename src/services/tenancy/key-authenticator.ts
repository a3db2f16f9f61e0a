import { timingSafeEqual } from "node:crypto";
import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { GATEWAY_SCOPE, type Principal } from "../../core/principal.ts";
import type { Database } from "../../platform/postgres/database.ts";
import { createRefreshingCache, type RefreshingCache } from "../../platform/refreshing-cache.ts";
import { credentialsExpired, credentialsInvalid } from "./credentials-error.ts";
import { loadGrants } from "./grants.ts";
import { hashSecret, isKeyText, KEY_CHARACTERS, keyIdOf } from "./key-format.ts";
import { findKey, touchKey } from "./key-store.ts";

export interface KnownKey {
  readonly principal: Principal;
  readonly secretHash: Buffer;
  readonly previousSecretHash: Buffer | undefined;
  readonly previousValidUntilMs: number;
  readonly expiresAtMs: number;
  readonly isRevoked: boolean;
}

export interface KeyAuthenticator {
  /** The key's principal if the key is known; throws where it is wrong, undefined where it must be looked up. */
  peek(text: string): Principal | undefined;
  authenticate(text: string): Promise<Principal>;
  readonly cache: RefreshingCache<KnownKey>;
}

export interface KeyAuthenticatorOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxAgeMs: number;
  readonly maxEntries: number;
}

const TOUCH_EVERY_MS = 60_000;

export function createKeyAuthenticator(options: KeyAuthenticatorOptions): KeyAuthenticator {
  const { database, clock, logger, maxEntries } = options;
  const touchedAtMs = new Map<string, number>();

  const cache = createRefreshingCache<KnownKey>({
    ...options,
    async load(id) {
      const key = await findKey(database, id);
      if (key === undefined) return undefined;
      const principalId = `key:${id}`;
      const principal: Principal = Object.freeze({
        id: principalId,
        kind: "API_KEY",
        displayName: key.display_name,
        home: key.namespace ?? GATEWAY_SCOPE,
        expiresAtMs: key.expires_at?.getTime(),
        grants: await loadGrants(database, [principalId]),
      });
      return {
        principal,
        secretHash: key.secret_hash,
        previousSecretHash: key.previous_secret_hash ?? undefined,
        previousValidUntilMs: key.previous_valid_until?.getTime() ?? 0,
        expiresAtMs: key.expires_at?.getTime() ?? Number.POSITIVE_INFINITY,
        isRevoked: key.revoked_at !== null,
      };
    },
  });

  /** Notes that a key is in use, beside the request and not for each. */
  function touch(id: string, now: number): void {
    if (now - (touchedAtMs.get(id) ?? Number.NEGATIVE_INFINITY) < TOUCH_EVERY_MS) return;
    if (touchedAtMs.size >= maxEntries) touchedAtMs.clear();
    touchedAtMs.set(id, now);
    touchKey(database, id, new Date(now), TOUCH_EVERY_MS).catch((error: unknown) => {
      logger.warn({ err: error, keyId: id }, "When the key was last used could not be written.");
    });
  }

  function check(text: string, id: string, key: KnownKey): Principal {
    const now = clock.now();
    const presented = hashSecret(text);
    const isCurrent = timingSafeEqual(presented, key.secretHash);
    const isPrevious =
      !isCurrent &&
      key.previousSecretHash !== undefined &&
      now < key.previousValidUntilMs &&
      timingSafeEqual(presented, key.previousSecretHash);
    if ((!isCurrent && !isPrevious) || key.isRevoked) throw credentialsInvalid();
    if (now >= key.expiresAtMs) throw credentialsExpired();
    touch(id, now);
    return key.principal;
  }

  return {
    cache,
    peek(text) {
      if (text.length !== KEY_CHARACTERS) throw credentialsInvalid();
      const id = keyIdOf(text);
      const key = cache.peek(id);
      return key && check(text, id, key);
    },
    async authenticate(text) {
      if (!isKeyText(text)) throw credentialsInvalid();
      const id = keyIdOf(text);
      const key = await cache.get(id);
      if (key === undefined) throw credentialsInvalid();
      return check(text, id, key);
    },
  };
}
