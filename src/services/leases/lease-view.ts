import type { LeaseResource } from "./lease-resource-store.ts";
import type { KnownLease } from "./lease-store.ts";
import type { Lease } from "./model.ts";

/** How much longer a lease is held. Where the store knows nothing of this fence (yet, or any more), the first ttlMs counts. */
export function remainingMsOf(resource: LeaseResource, known: KnownLease | undefined, nowMs: number): number {
  return known?.fence === resource.fence ? known.deadlineMs - nowMs : resource.firstTtlLeftMs;
}

/** A lease as clients see it, whether it is held or not. */
export function describeLease(resource: LeaseResource, known: KnownLease | undefined, nowMs: number): Lease {
  const remainingMs = resource.held ? remainingMsOf(resource, known, nowMs) : 0;
  return remainingMs > 0 ? heldLease(resource, nowMs + remainingMs) : freeLease(resource);
}

export function heldLease(resource: LeaseResource, deadlineMs: number): Lease {
  const { state: _, ...rest } = freeLease(resource);
  return { ...rest, state: "HELD", holder: resource.holder, expiresAt: new Date(deadlineMs).toISOString() };
}

export function freeLease({ namespace, name, fence, acquiredAt, metadata }: LeaseResource): Lease {
  return { namespace, leaseName: name, state: "FREE", fence, acquiredAt: acquiredAt.toISOString(), metadata };
}
