import { hash } from "node:crypto";
import { decodeJwt, errors, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Clock } from "../../core/clock.ts";
import { AppError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { GATEWAY_SCOPE, type Principal } from "../../core/principal.ts";
import type { Database } from "../../platform/postgres/database.ts";
import { createRefreshingCache } from "../../platform/refreshing-cache.ts";
import { credentialsExpired, credentialsInvalid } from "./credentials-error.ts";
import { type Grants, loadGrants } from "./grants.ts";
import { type HolderClaims, readClaims } from "./jwt-claims.ts";
import { createProviderKeys, providerUnavailable } from "./provider-keys.ts";

/** An identity provider whose tokens are accepted. */
export interface JwtIssuer {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string;
  readonly audience: string | readonly string[];
  readonly jwksUrl: string;
  /** Signature algorithms; asymmetric ones only. */
  readonly algorithms?: readonly string[];
  readonly clockToleranceSeconds?: number;
  /** The claim that names the groups of a subject, as a list of texts or one text; `groups` where absent. */
  readonly groupsClaim?: string;
}

export interface JwtAuthenticator {
  peek(token: string): Principal | undefined;
  authenticate(token: string): Promise<Principal>;
  /** Forgets what the bindings of this principal (a subject or a group) allow. */
  forgetPrincipal(id: string): void;
  /** Forgets what bindings in this namespace allow. */
  forgetNamespace(namespace: string): void;
}

export interface JwtAuthenticatorOptions {
  readonly issuers: readonly JwtIssuer[];
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxAgeMs: number;
  readonly maxEntries: number;
  /** Lets time pass; only tests have another. */
  readonly pause?: (ms: number) => Promise<unknown>;
}

interface VerifiedToken {
  readonly principalId: string;
  /** Its groups, as principals. */
  readonly groups: readonly string[];
  /** The principal and its groups, as the cache of grants knows them together. */
  readonly holders: string;
  readonly displayName: string;
  readonly expiresAtMs: number;
  readonly verifiedUntilMs: number;
  principal: Principal | undefined;
}

interface Verifier {
  readonly issuer: JwtIssuer;
  readonly keys: JWTVerifyGetKey;
}

const ASYMMETRIC = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const DEFAULT_CLOCK_TOLERANCE_SECONDS = 30;
/** A token's signature is checked again after this long, so that a withdrawn key stops counting. */
const VERIFIED_FOR_MS = 60_000;
const MAX_TOKEN_CHARACTERS = 8192;
/** No subject or group that can be bound holds it. */
const HOLDER_SEPARATOR = "\n";
/** As role bindings can name it: the first `#` of a principal ends the issuer, whatever the subject holds. */
const ISSUER = /^[\x21-\x22\x24-\x7e]{1,240}$/;
const DEFAULT_GROUPS_CLAIM = "groups";

export function createJwtAuthenticator(options: JwtAuthenticatorOptions): JwtAuthenticator {
  const { database, clock, maxEntries } = options;
  const verifiers = new Map(options.issuers.map((issuer) => [issuer.issuer, createVerifier(issuer, options)]));
  const verified = new Map<string, VerifiedToken>();
  const grants = createRefreshingCache<Grants>({
    ...options,
    load: (holders) => loadGrants(database, holders.split(HOLDER_SEPARATOR)),
  });

  async function verify(token: string, digest: string): Promise<VerifiedToken> {
    const { issuer, claims } = await verifyToken(token, verifiers, clock);
    const now = clock.now();
    const { displayName, expiresAtMs } = claims;
    const principalId = `jwt:${issuer}#${claims.subject}`;
    const groups = Object.freeze(claims.groups.map((group) => `jwt-group:${issuer}#${group}`));
    const entry: VerifiedToken = {
      principalId,
      groups,
      holders: [principalId, ...groups].join(HOLDER_SEPARATOR),
      displayName,
      expiresAtMs,
      verifiedUntilMs: Math.min(expiresAtMs, now + VERIFIED_FOR_MS),
      principal: undefined,
    };
    verified.delete(digest);
    if (verified.size >= maxEntries) verified.delete(verified.keys().next().value!);
    if (entry.verifiedUntilMs > now) verified.set(digest, entry);
    return entry;
  }

  /** One frozen principal per token, as long as its grants stay the same. */
  function principalOf(entry: VerifiedToken, held: Grants): Principal {
    if (entry.principal?.grants !== held) {
      entry.principal = Object.freeze({
        id: entry.principalId,
        kind: "JWT",
        displayName: entry.displayName,
        groups: entry.groups,
        home: GATEWAY_SCOPE,
        expiresAtMs: entry.expiresAtMs,
        grants: held,
      });
    }
    return entry.principal;
  }

  function known(digest: string): VerifiedToken | undefined {
    const entry = verified.get(digest);
    return entry !== undefined && clock.now() < entry.verifiedUntilMs ? entry : undefined;
  }

  return {
    forgetPrincipal: (id) => grants.dropWhere((holders) => holders.split(HOLDER_SEPARATOR).includes(id)),
    forgetNamespace: (namespace) => grants.dropWhere((_holders, held) => held.has(namespace)),
    peek(token) {
      if (token.length > MAX_TOKEN_CHARACTERS) throw credentialsInvalid();
      const entry = known(hash("sha256", token));
      const held = entry && grants.peek(entry.holders);
      return held && principalOf(entry, held);
    },
    async authenticate(token) {
      const digest = hash("sha256", token);
      const entry = known(digest) ?? (await verify(token, digest));
      const held = await grants.get(entry.holders);
      return principalOf(entry, held ?? new Map());
    },
  };
}

function createVerifier(issuer: JwtIssuer, options: JwtAuthenticatorOptions): Verifier {
  if (!ISSUER.test(issuer.issuer)) {
    throw new Error(
      `"${issuer.issuer}" cannot be an issuer: take the \`iss\` of its tokens, printable ASCII without spaces and #, at most 240 characters.`,
    );
  }
  for (const algorithm of issuer.algorithms ?? []) {
    if (!ASYMMETRIC.includes(algorithm)) {
      throw new Error(
        `${algorithm} cannot be accepted from ${issuer.issuer}: choose among ${ASYMMETRIC.join(", ")}, which need no shared secret.`,
      );
    }
  }
  return { issuer, keys: createProviderKeys({ ...options, issuer: issuer.issuer, jwksUrl: issuer.jwksUrl }) };
}

async function verifyToken(
  token: string,
  verifiers: ReadonlyMap<string, Verifier>,
  clock: Clock,
): Promise<{ issuer: string; claims: HolderClaims }> {
  const verifier = verifiers.get(claimedIssuer(token) ?? "");
  if (verifier === undefined) throw credentialsInvalid();
  const { issuer, keys } = verifier;
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: issuer.issuer,
      audience: typeof issuer.audience === "string" ? issuer.audience : [...issuer.audience],
      algorithms: [...(issuer.algorithms ?? ASYMMETRIC)],
      clockTolerance: issuer.clockToleranceSeconds ?? DEFAULT_CLOCK_TOLERANCE_SECONDS,
      currentDate: new Date(clock.now()),
      requiredClaims: ["sub", "exp"],
    });
    return { issuer: issuer.issuer, claims: readClaims(payload, issuer.groupsClaim ?? DEFAULT_GROUPS_CLAIM) };
  } catch (thrown) {
    throw refusal(thrown);
  }
}

/** Read before anything is verified: it only chooses whose keys to verify with. */
function claimedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

function refusal(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown instanceof errors.JWTExpired) return credentialsExpired();
  // What jose has no name for is a key that it cannot use, such as one that is too short.
  return thrown instanceof errors.JOSEError ? credentialsInvalid(thrown) : providerUnavailable(thrown);
}
