/** Grants under this name hold in every namespace and for operations outside of any. */
export const GATEWAY_SCOPE = "*";
/** A permission set that holds this word allows everything in its scope. */
export const ALL_PERMISSIONS = "*";

/** Who calls, as authentication found it. Frozen and shared between calls of the same credential. */
export interface Principal {
  /** `key:<keyId>` or `jwt:<issuer>#<subject>`. */
  readonly id: string;
  readonly kind: "ANONYMOUS" | "API_KEY" | "JWT";
  /** What people call it. */
  readonly displayName: string;
  /** The namespace that owns the credential, or GATEWAY_SCOPE. */
  readonly home: string;
  /** The groups that its token names, as `jwt-group:<issuer>#<group>`; what it may do through them is among its grants. */
  readonly groups?: readonly string[];
  /** When the credential ends, in milliseconds since the epoch. */
  readonly expiresAtMs: number | undefined;
  /** Scope (a namespace or GATEWAY_SCOPE) → permissions. */
  readonly grants: ReadonlyMap<string, ReadonlySet<string>>;
}

export const ANONYMOUS: Principal = Object.freeze({
  id: "anonymous",
  kind: "ANONYMOUS",
  displayName: "anonymous",
  home: "",
  expiresAtMs: undefined,
  grants: new Map(),
});

function holds(permissions: ReadonlySet<string> | undefined, permission: string): boolean {
  return permissions !== undefined && (permissions.has(ALL_PERMISSIONS) || permissions.has(permission));
}

/** Whether `principal` may do `permission` in `scope` (a namespace or GATEWAY_SCOPE). */
export function isPermitted(principal: Principal, permission: string, scope: string): boolean {
  return holds(principal.grants.get(GATEWAY_SCOPE), permission) || holds(principal.grants.get(scope), permission);
}
