import type { Principal } from "../../core/principal.ts";
import { credentialsInvalid, credentialsMissing } from "./credentials-error.ts";
import type { JwtAuthenticator } from "./jwt-authenticator.ts";
import type { KeyAuthenticator } from "./key-authenticator.ts";
import { KEY_PREFIX } from "./key-format.ts";

/** Finds out who presents a credential. Both ways throw UNAUTHENTICATED for one that is not good. */
export interface Authenticator {
  /** The principal of a credential that is known and was checked lately, without waiting; else undefined. */
  peek(authorization: string | undefined): Principal | undefined;
  /** The principal of any good credential. */
  authenticate(authorization: string | undefined): Promise<Principal>;
}

const BEARER = "Bearer ";
/** Nothing we accept is longer, and nothing longer is worth looking at. */
const MAX_AUTHORIZATION_CHARACTERS = 8192 + BEARER.length;

export function createAuthenticator(keys: KeyAuthenticator, tokens: JwtAuthenticator | undefined): Authenticator {
  const chosenFor = (credential: string) => {
    const chosen = credential.startsWith(KEY_PREFIX) ? keys : tokens;
    if (chosen === undefined) throw credentialsInvalid();
    return chosen;
  };
  return {
    peek(authorization) {
      const credential = credentialOf(authorization);
      return chosenFor(credential).peek(credential);
    },
    async authenticate(authorization) {
      const credential = credentialOf(authorization);
      return chosenFor(credential).authenticate(credential);
    },
  };
}

/** What stands behind `Bearer`; the word's case does not matter (RFC 9110 section 11.1). */
function credentialOf(authorization: string | undefined): string {
  if (authorization === undefined || authorization === "") throw credentialsMissing();
  if (authorization.length > MAX_AUTHORIZATION_CHARACTERS) throw credentialsInvalid();
  if (authorization.startsWith(BEARER)) return authorization.slice(BEARER.length);
  const match = /^bearer +(\S+)$/i.exec(authorization);
  if (match === null) throw credentialsInvalid();
  return match[1]!;
}
