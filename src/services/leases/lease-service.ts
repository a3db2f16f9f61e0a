import { z } from "zod";
import type { Call } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { notFound } from "../../core/errors.ts";
import { createPageTokens } from "../../core/page.ts";
import type { WakeUps } from "../../platform/wake-ups.ts";
import { leaseHeld, leaseLost } from "./lease-errors.ts";
import type { LeaseFence, LeaseResource, LeaseResourceStore } from "./lease-resource-store.ts";
import { type LeaseStore, NAMED_LEASES, type RemainingLease } from "./lease-store.ts";
import { describeLease, freeLease, heldLease } from "./lease-view.ts";
import type {
  AcquireLeaseRequest,
  HeartbeatLeaseRequest,
  Lease,
  ListLeasesRequest,
  ReleaseLeaseRequest,
} from "./model.ts";
import { createResourceCache } from "./resource-cache.ts";

/** Leases that clients take on names of their own choosing. */
export interface LeaseService {
  acquire(request: AcquireLeaseRequest, call: Call): Promise<Lease>;
  heartbeat(request: HeartbeatLeaseRequest): Promise<Lease>;
  release(request: ReleaseLeaseRequest): Promise<Lease>;
  get(namespace: string, leaseName: string): Promise<Lease>;
  list(request: ListLeasesRequest): Promise<{ leases: Lease[]; nextPageToken?: string }>;
  /** Frees leases that ran out and wakes who waits for them. Answers how many. */
  sweep(): Promise<number>;
  /** Clears away leases that nobody wanted for a week, so that names used once do not add up. Answers how many. */
  removeFreed(): Promise<number>;
  /** Clears away everything of a namespace that is deleted. */
  removeNamespace(namespace: string): Promise<void>;
}

export interface LeaseServiceOptions {
  /** The liveness half. */
  readonly store: LeaseStore;
  /** The safety half. */
  readonly resources: LeaseResourceStore;
  /** Wakes who waits for a lease, by `namespace/name`. */
  readonly freed: WakeUps;
  readonly clock: Clock;
}

/** A wake-up may get lost, so who waits looks again this often all the same. */
const LOOK_AGAIN_MS = 2_000;
const MAX_SWEPT_AT_ONCE = 1_000;
const MAX_REMOVED_AT_ONCE = 10_000;
const FREED_KEPT_MS = 7 * 86_400_000;
/** How often acquire reads again when others change the same lease meanwhile. */
const MAX_TAKES = 10;
const BUSY_RETRY_MS = 50;

const PagePlace = z.strictObject({ after: z.string() });

/** `isNew` where the lease was free before: its loss then hurts nobody who held it already. */
type Attempt =
  | { readonly lease: Lease; readonly isNew: boolean }
  | { readonly holder: string; readonly remainingMs: number };

export function createLeaseService({ store, resources, freed, clock }: LeaseServiceOptions): LeaseService {
  const cache = createResourceCache();

  /** Who of these is alive. One that is held but not known to the store may be: it gets the longest time it was promised, once. */
  const liveness = async (held: readonly LeaseResource[]): Promise<Map<string, RemainingLease>> => {
    if (held.length === 0) return new Map();
    const leases = held.map(({ name, fence, longestTtlMs }) => ({ key: name, fence, ttlMs: longestTtlMs }));
    const known = await store.adopt(NAMED_LEASES, held[0]!.namespace, leases);
    return new Map(held.map(({ name }, index) => [name, known[index]!]));
  };

  /** Undefined where the store knows a higher fence: then somebody else has taken the lease meanwhile. */
  const grant = async (resource: LeaseResource, ttlMs: number): Promise<Lease | undefined> => {
    const { namespace, name, fence } = resource;
    const [deadlineMs] = await store.grant(NAMED_LEASES, namespace, [{ key: name, fence, ttlMs }]);
    if (deadlineMs === undefined) return undefined;
    cache.set(resource);
    return heldLease(resource, deadlineMs);
  };

  /** Grants a lease anew under the fence it has, if its row still says so. Whoever found it dead before that does not get it. */
  const renew = async (lease: LeaseFence, ttlMs: number): Promise<Lease | undefined> => {
    const confirmed = await resources.confirm(lease, ttlMs);
    return confirmed && grant(confirmed, ttlMs);
  };

  const attempt = async (request: AcquireLeaseRequest): Promise<Attempt> => {
    const { namespace, leaseName: name, holder, ttlMs, metadata } = request;
    for (let takes = 0; takes < MAX_TAKES; takes += 1) {
      const resource = await resources.get(namespace, name);
      if (resource?.held) {
        const { remainingMs } = (await liveness([resource])).get(name)!;
        if (remainingMs > 0 && resource.holder !== holder) return { holder: resource.holder, remainingMs };
        const renewed = remainingMs > 0 ? await renew(resource, ttlMs) : undefined;
        if (renewed) return { lease: renewed, isNew: false };
      }
      if (resource && !(await isOver(resource))) continue;
      const taken = await resources.take({ namespace, name, holder, ttlMs, metadata }, resource);
      const lease = taken && (await grant(taken, ttlMs));
      if (lease) return { lease, isNew: true };
    }
    return { holder: "others, in turns", remainingMs: BUSY_RETRY_MS };
  };

  /** Sees to it that heartbeats under the fence the row has now fail or look at the row. False where the lease turns out to live. */
  const isOver = async ({ namespace, name, fence, held }: LeaseResource): Promise<boolean> => {
    const lease = [{ key: name, fence }];
    if (held) return (await store.retire(NAMED_LEASES, namespace, lease))[0]!;
    await store.release(NAMED_LEASES, namespace, lease);
    return true;
  };

  const acquireWithin = async (request: AcquireLeaseRequest, call: Call): Promise<Attempt> => {
    const untilMs = clock.monotonic() + request.waitMs;
    const waiter = freed.waiter([waitKey(request.namespace, request.leaseName)]);
    try {
      for (;;) {
        const outcome = await attempt(request);
        const leftMs = untilMs - clock.monotonic();
        if ("lease" in outcome || leftMs <= 0 || freed.isDraining) return outcome;
        await waiter.wait(Math.min(leftMs, outcome.remainingMs + 1, LOOK_AGAIN_MS), call.signal);
        if (call.abortReason) throw call.abortReason;
      }
    } finally {
      waiter.close();
    }
  };

  /** Frees a lease that its holder never heard of. One who asked again meanwhile has a later deadline, and keeps it. */
  const takeBack = async ({ namespace, leaseName, fence, expiresAt }: Lease): Promise<void> => {
    const [known] = await store.inspect(NAMED_LEASES, namespace, [leaseName]);
    if (known?.fence !== fence || known.deadlineMs !== Date.parse(expiresAt!)) return;
    await release({ namespace, leaseName, fence });
  };

  const release = async ({ namespace, leaseName, fence }: ReleaseLeaseRequest): Promise<Lease> => {
    cache.delete(namespace, leaseName);
    // First, so that a heartbeat looks at the row from now on, whatever becomes of this gateway.
    await store.release(NAMED_LEASES, namespace, [{ key: leaseName, fence }]);
    const wasHeld = await resources.free({ namespace, name: leaseName, fence });
    const resource = await resources.get(namespace, leaseName);
    if (resource === undefined) throw notFound("lease", leaseName);
    if (resource.fence !== fence && !wasHeld) throw leaseLost(leaseName, fence);
    if (wasHeld) freed.notify(waitKey(namespace, leaseName), 1);
    return freeLease(resource);
  };

  /** The row as long as `fence` holds it; throws where it does not. */
  const current = async (namespace: string, name: string, fence: number): Promise<LeaseResource> => {
    const resource = await resources.get(namespace, name);
    if (resource === undefined) throw notFound("lease", name);
    if (resource.fence === fence && resource.held) return resource;
    cache.delete(namespace, name);
    throw leaseLost(name, fence);
  };

  return {
    async acquire(request, call) {
      const outcome = request.waitMs === 0 ? await attempt(request) : await acquireWithin(request, call);
      const lease = leaseOf(request, outcome);
      if ("lease" in outcome && outcome.isNew) call.onUndelivered(() => takeBack(lease));
      return lease;
    },

    async heartbeat({ namespace, leaseName, fence, ttlMs }) {
      const resource = cache.get(namespace, leaseName, fence) ?? (await current(namespace, leaseName, fence));
      cache.set(resource);
      const lastsMs = ttlMs ?? resource.ttlMs;
      // The row knows the longest promise, so that the lease can be given that much time where nothing else knows it.
      if (lastsMs <= resource.longestTtlMs) {
        const [deadlineMs] = await store.extend(NAMED_LEASES, namespace, [{ key: leaseName, fence, ttlMs: lastsMs }]);
        if (deadlineMs !== undefined) return heldLease(resource, deadlineMs);
      }
      // The store does not know the lease: it was lost, or the store lost its memory. The fence in Postgres tells.
      const renewed = await renew(resource, lastsMs);
      if (renewed) return renewed;
      cache.delete(namespace, leaseName);
      throw leaseLost(leaseName, fence);
    },

    release,

    async get(namespace, leaseName) {
      const resource = await resources.get(namespace, leaseName);
      if (resource === undefined) throw notFound("lease", leaseName);
      const known = await liveness(resource.held ? [resource] : []);
      return describeLease(resource, known.get(leaseName));
    },

    async list({ namespace, pageSize, pageToken }) {
      const tokens = createPageTokens(PagePlace, ["leases.list", namespace]);
      const after = tokens.decode(pageToken)?.after ?? "";
      const found = await resources.list(namespace, after, pageSize + 1);
      const page = found.slice(0, pageSize);
      const known = await liveness(page.filter(({ held }) => held));
      const leases = page.map((resource) => describeLease(resource, known.get(resource.name)));
      const last = found.length > pageSize ? page.at(-1) : undefined;
      return { leases, ...(last ? { nextPageToken: tokens.encode({ after: last.name }) } : {}) };
    },

    async sweep() {
      const expired = await store.expired(NAMED_LEASES, MAX_SWEPT_AT_ONCE);
      if (expired.length === 0) return 0;
      // The rows are looked at before the leases are retired, and freed only if nobody confirmed them since.
      const seen = await resources.held(expired.map(({ partition, key, fence }) => fenceOf(partition, key, fence)));
      const retired = new Set<string>();
      for (const [partition, leases] of Map.groupBy(expired, (lease) => lease.partition)) {
        const flags = await store.retire(NAMED_LEASES, partition, leases);
        for (const [index, { key }] of leases.entries()) if (flags[index]) retired.add(waitKey(partition, key));
      }
      const ended = await resources.freeUnchanged(
        seen.filter(({ namespace, name }) => retired.has(waitKey(namespace, name))),
      );
      for (const { namespace, name } of ended) {
        cache.delete(namespace, name);
        freed.notify(waitKey(namespace, name), 1);
      }
      return ended.length;
    },

    async removeFreed() {
      return resources.removeFreed(FREED_KEPT_MS, MAX_REMOVED_AT_ONCE);
    },

    removeNamespace: (namespace) => resources.removeNamespace(namespace),
  };
}

const waitKey = (namespace: string, leaseName: string) => `${namespace}/${leaseName}`;

const fenceOf = (namespace: string, name: string, fence: number): LeaseFence => ({ namespace, name, fence });

function leaseOf(request: AcquireLeaseRequest, outcome: Attempt): Lease {
  if ("lease" in outcome) return outcome.lease;
  throw leaseHeld(request.leaseName, outcome.holder, outcome.remainingMs);
}
