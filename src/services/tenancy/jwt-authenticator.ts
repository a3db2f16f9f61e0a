import { hash } from "node:crypto";
import { createRemoteJWKSet, decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from "jose";
import type { Clock } from "../../core/clock.ts";
import { AppError } from "../../core/errors.ts";
import { GATEWAY_SCOPE, type Principal } from "../../core/principal.ts";
import type { Database } from "../../platform/postgres/database.ts";
import { credentialsExpired, credentialsInvalid } from "./credentials-error.ts";
import { type Grants, loadGrants } from "./grants.ts";
import { createRefreshingCache, type RefreshingCache } from "./refreshing-cache.ts";

/** An identity provider whose tokens are accepted. */
export interface JwtIssuer {
  /** Exactly as in the tokens' `iss`. */
  readonly issuer: string;
  readonly audience: string | readonly string[];
  readonly jwksUrl: string;
  /** Signature algorithms; asymmetric ones only. */
  readonly algorithms?: readonly string[];
  readonly clockToleranceSeconds?: number;
}

export interface JwtAuthenticator {
  peek(token: string): Principal | undefined;
  authenticate(token: string): Promise<Principal>;
  /** What each principal (`jwt:<issuer>#<subject>`) may do. */
  readonly grants: RefreshingCache<Grants>;
}

export interface JwtAuthenticatorOptions {
  readonly issuers: readonly JwtIssuer[];
  readonly database: Database;
  readonly clock: Clock;
  readonly maxAgeMs: number;
  readonly maxEntries: number;
}

interface VerifiedToken {
  readonly principalId: string;
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
const JWKS_TIMEOUT_MS = 5000;
const JWKS_COOLDOWN_MS = 30_000;
const JWKS_MAX_AGE_MS = 10 * 60_000;
/** A token's signature is checked again after this long, so that a withdrawn key stops counting. */
const VERIFIED_FOR_MS = 60_000;
const MAX_TOKEN_CHARACTERS = 8192;
const SUBJECT = /^[\x20-\x7e]{1,255}$/;
const MAX_DISPLAY_NAME_CHARACTERS = 200;

export function createJwtAuthenticator(options: JwtAuthenticatorOptions): JwtAuthenticator {
  const { database, clock, maxEntries } = options;
  const verifiers = new Map(options.issuers.map((issuer) => [issuer.issuer, createVerifier(issuer)]));
  const verified = new Map<string, VerifiedToken>();
  const grants = createRefreshingCache<Grants>({
    ...options,
    load: (principalId) => loadGrants(database, principalId),
  });

  async function verify(token: string, digest: string): Promise<VerifiedToken> {
    const payload = await verifyToken(token, verifiers, clock);
    const now = clock.now();
    const expiresAtMs = payload.exp! * 1000;
    const entry: VerifiedToken = {
      principalId: `jwt:${payload.iss}#${payload.sub}`,
      displayName: displayNameOf(payload),
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
    grants,
    peek(token) {
      if (token.length > MAX_TOKEN_CHARACTERS) throw credentialsInvalid();
      const entry = known(hash("sha256", token));
      const held = entry && grants.peek(entry.principalId);
      return held && principalOf(entry, held);
    },
    async authenticate(token) {
      const digest = hash("sha256", token);
      const entry = known(digest) ?? (await verify(token, digest));
      const held = await grants.get(entry.principalId);
      return principalOf(entry, held ?? new Map());
    },
  };
}

function createVerifier(issuer: JwtIssuer): Verifier {
  for (const algorithm of issuer.algorithms ?? []) {
    if (!ASYMMETRIC.includes(algorithm)) {
      throw new Error(
        `${algorithm} cannot be accepted from ${issuer.issuer}: choose among ${ASYMMETRIC.join(", ")}, which need no shared secret.`,
      );
    }
  }
  const keys = createRemoteJWKSet(new URL(issuer.jwksUrl), {
    timeoutDuration: JWKS_TIMEOUT_MS,
    cooldownDuration: JWKS_COOLDOWN_MS,
    cacheMaxAge: JWKS_MAX_AGE_MS,
  });
  return { issuer, keys };
}

async function verifyToken(token: string, verifiers: ReadonlyMap<string, Verifier>, clock: Clock): Promise<JWTPayload> {
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
    if (!SUBJECT.test(payload.sub ?? "")) throw credentialsInvalid();
    return payload;
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
  // jose throws plain errors, its base class or a timeout when the keys could not be fetched.
  const isFetchProblem =
    !(thrown instanceof errors.JOSEError) || thrown instanceof errors.JWKSTimeout || thrown.code === "ERR_JOSE_GENERIC";
  if (!isFetchProblem) return credentialsInvalid(thrown);
  return new AppError(
    "UNAVAILABLE",
    "IDENTITY_PROVIDER_UNAVAILABLE",
    "The identity provider's keys cannot be fetched at the moment, so tokens cannot be checked. Try again shortly.",
    { retryAfterMs: 2000, cause: thrown },
  );
}

function displayNameOf(payload: JWTPayload): string {
  const { name, preferred_username: userName, email } = payload as Record<string, unknown>;
  const chosen = [name, userName, email].find((value) => typeof value === "string" && value !== "") ?? payload.sub;
  return String(chosen)
    .toWellFormed()
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, "")
    .slice(0, MAX_DISPLAY_NAME_CHARACTERS);
}
