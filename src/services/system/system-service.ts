import type { Principal } from "../../core/principal.ts";
import type { GetInfoResponse, WhoAmIResponse } from "./model.ts";

export interface SystemService {
  whoAmI(principal: Principal): WhoAmIResponse;
  getInfo(): GetInfoResponse;
}

/** Answers from memory alone. */
export function createSystemService(info: GetInfoResponse): SystemService {
  // Principals are shared between calls, and so is what is said of them.
  const known = new WeakMap<Principal, WhoAmIResponse>();
  return {
    whoAmI(principal) {
      let answer = known.get(principal);
      if (answer === undefined) {
        answer = describe(principal);
        known.set(principal, answer);
      }
      return answer;
    },
    getInfo: () => info,
  };
}

function describe(principal: Principal): WhoAmIResponse {
  const { id, displayName, kind, home, groups = [], expiresAtMs, grants } = principal;
  return {
    principalId: id,
    displayName,
    // Nobody gets here without a credential.
    kind: kind === "JWT" ? "JWT" : "API_KEY",
    home,
    groups: [...groups],
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    grants: [...grants].map(([scope, permissions]) => ({ scope, permissions: [...permissions].sort() })),
  };
}
