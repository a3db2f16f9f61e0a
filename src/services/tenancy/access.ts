import type { NamespaceScope } from "../../core/call.ts";
import { AppError } from "../../core/errors.ts";
import { GATEWAY_SCOPE, isPermitted, type Principal } from "../../core/principal.ts";
import { VIEWER_PERMISSIONS } from "./permissions.ts";

/** Whether `principal` may do `permission` in `namespace`, or in the whole gateway where that is undefined. */
export function isAllowed(principal: Principal, permission: string, namespace: NamespaceScope | undefined): boolean {
  if (namespace === undefined) return isPermitted(principal, permission, GATEWAY_SCOPE);
  if (isPermitted(principal, permission, namespace.name)) return true;
  return namespace.isolation === "NONE" && principal.kind !== "ANONYMOUS" && VIEWER_PERMISSIONS.has(permission);
}

/** Whether `principal` may know that `namespace` is there. */
export function canSeeNamespace(principal: Principal, namespace: NamespaceScope): boolean {
  return hasGrantIn(principal, namespace.name) || (namespace.isolation === "NONE" && principal.kind !== "ANONYMOUS");
}

/** Whether `principal` was given anything in the namespace of this name, be it there or not. */
export function hasGrantIn(principal: Principal, namespace: string): boolean {
  return principal.grants.has(GATEWAY_SCOPE) || principal.grants.has(namespace);
}

/** Refuses a grant of what the granter does not hold: permissions can be passed on, never made. */
export function refuseGranting(granter: Principal, permissions: Iterable<string>, scope: string): void {
  refuseEscalation("grant", granter, permissions, scope);
}

/** Refuses to take from others what the remover does not hold: who is weaker cannot disarm who is stronger. */
export function refuseTakingAway(remover: Principal, permissions: Iterable<string>, scope: string): void {
  refuseEscalation("take away", remover, permissions, scope);
}

function refuseEscalation(act: string, principal: Principal, permissions: Iterable<string>, scope: string): void {
  const missing = [...permissions].filter((permission) => !isPermitted(principal, permission, scope));
  if (missing.length === 0) return;
  const place = scope === GATEWAY_SCOPE ? "the whole gateway" : `namespace "${scope}"`;
  const named = missing.includes("*") ? "all permissions, as the role admin does" : missing.sort().join(", ");
  throw new AppError(
    "PERMISSION_DENIED",
    "PERMISSION_ESCALATION",
    `This would ${act} what you do not hold yourself in ${place}: ${named}. Ask somebody who holds it.`,
    { details: { metadata: { scope, permissions: missing.join(",") } } },
  );
}

/** The caller lacks a permission where it may do other things. */
export function permissionDenied(permission: string, namespace: string | undefined): AppError {
  const place = namespace === undefined ? "in the whole gateway" : `in namespace "${namespace}"`;
  return new AppError(
    "PERMISSION_DENIED",
    "PERMISSION_DENIED",
    `You need the permission ${permission} ${place}. Ask for a role that has it.`,
    { details: { metadata: { permission, ...(namespace === undefined ? {} : { namespace }) } } },
  );
}
