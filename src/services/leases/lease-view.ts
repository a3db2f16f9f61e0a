import type { LeaseResource } from "./lease-resource-store.ts";
import type { RemainingLease } from "./lease-store.ts";
import type { Lease } from "./model.ts";

/** A lease as clients see it, whether it is held or not. */
export function describeLease(resource: LeaseResource, known: RemainingLease | undefined): Lease {
  const isHeld = resource.held && known !== undefined && known.remainingMs > 0;
  return isHeld ? heldLease(resource, known.deadlineMs) : freeLease(resource);
}

export function heldLease(resource: LeaseResource, deadlineMs: number): Lease {
  const { state: _, ...rest } = freeLease(resource);
  return { ...rest, state: "HELD", holder: resource.holder, expiresAt: new Date(deadlineMs).toISOString() };
}

export function freeLease({ namespace, name, fence, acquiredAt, metadata }: LeaseResource): Lease {
  return { namespace, leaseName: name, state: "FREE", fence, acquiredAt: acquiredAt.toISOString(), metadata };
}
