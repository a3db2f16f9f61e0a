import { z } from "zod";
import type { Call } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import { notFound } from "../../core/errors.ts";
import { decodePageToken, encodePageToken } from "../../core/page.ts";
import type { WakeUps } from "../../platform/wake-ups.ts";
import { leaseHeld, leaseLost } from "./lease-errors.ts";
import type { LeaseResource, LeaseResourceStore } from "./lease-resource-store.ts";
import type { MergeableLeaseStore } from "./lease-store.ts";
import { describeLease, freeLease, heldLease, remainingMsOf } from "./lease-view.ts";
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
  readonly store: MergeableLeaseStore;
  /** The safety half. */
  readonly resources: LeaseResourceStore;
  /** Wakes who waits for a lease, by `namespace/name`. */
  readonly freed: WakeUps;
  readonly clock: Clock;
}

/** The lease store's space for these leases; key = lease name, partition = namespace. */
const SPACE = "leases";
/** A wake-up may get lost, so who waits looks again this often all the same. */
const LOOK_AGAIN_MS = 2_000;
const MAX_SWEPT_AT_ONCE = 1_000;
const MAX_REMOVED_AT_ONCE = 10_000;
const FREED_KEPT_MS = 7 * 86_400_000;
/** How often acquire reads again when others change the same lease meanwhile. */
const MAX_TAKES = 10;
const BUSY_RETRY_MS = 50;

const PagePlace = z.strictObject({ after: z.string() });

type Attempt = { readonly lease: Lease } | { readonly holder: string; readonly remainingMs: number };

export function createLeaseService({ store, resources, freed, clock }: LeaseServiceOptions): LeaseService {
  const cache = createResourceCache();

  const inspect = async (namespace: string, names: readonly string[]) => {
    if (names.length === 0) return { known: [], nowMs: 0 };
    const [known, nowMs] = await Promise.all([store.inspect(SPACE, namespace, names), store.now()]);
    return { known, nowMs };
  };

  const grant = async (resource: LeaseResource, ttlMs: number): Promise<Lease> => {
    const { namespace, name, fence } = resource;
    const [deadlineMs] = await store.grant(SPACE, namespace, [{ key: name, fence, ttlMs }]);
    cache.set(resource);
    return heldLease(resource, deadlineMs!);
  };

  const attempt = async (request: AcquireLeaseRequest): Promise<Attempt> => {
    const { namespace, leaseName: name, holder, ttlMs, metadata } = request;
    for (let takes = 0; takes < MAX_TAKES; takes += 1) {
      const resource = await resources.get(namespace, name);
      if (resource?.held) {
        const { known, nowMs } = await inspect(namespace, [name]);
        const remainingMs = remainingMsOf(resource, known[0], nowMs);
        if (remainingMs > 0 && resource.holder === holder) return { lease: await grant(resource, ttlMs) };
        if (remainingMs > 0) return { holder: resource.holder, remainingMs };
      }
      const taken = await resources.take({ namespace, name, holder, ttlMs, metadata }, resource?.fence);
      if (taken) return { lease: await grant(taken, ttlMs) };
    }
    return { holder: "others, in turns", remainingMs: BUSY_RETRY_MS };
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
      if (request.waitMs === 0) return leaseOf(request, await attempt(request));
      const untilMs = clock.monotonic() + request.waitMs;
      const waiter = freed.waiter([waitKey(request.namespace, request.leaseName)]);
      try {
        for (;;) {
          const outcome = await attempt(request);
          const leftMs = untilMs - clock.monotonic();
          if ("lease" in outcome || leftMs <= 0 || freed.isDraining) return leaseOf(request, outcome);
          await waiter.wait(Math.min(leftMs, outcome.remainingMs + 1, LOOK_AGAIN_MS), call.signal);
          if (call.abortReason) throw call.abortReason;
        }
      } finally {
        waiter.close();
      }
    },

    async heartbeat({ namespace, leaseName, fence, ttlMs }) {
      const cached = cache.get(namespace, leaseName, fence);
      const resource = cached ?? (await current(namespace, leaseName, fence));
      cache.set(resource);
      const lastsMs = ttlMs ?? resource.ttlMs;
      const [deadlineMs] = await store.extend(SPACE, namespace, [{ key: leaseName, fence, ttlMs: lastsMs }]);
      if (deadlineMs !== undefined) return heldLease(resource, deadlineMs);
      // The store does not know the lease: it was lost, or the store lost its memory. The fence in Postgres tells.
      return grant(await current(namespace, leaseName, fence), lastsMs);
    },

    async release({ namespace, leaseName, fence }) {
      const wasHeld = (await resources.free([{ namespace, name: leaseName, fence }])).length > 0;
      const resource = await resources.get(namespace, leaseName);
      if (resource === undefined) throw notFound("lease", leaseName);
      cache.delete(namespace, leaseName);
      if (resource.fence !== fence && !wasHeld) throw leaseLost(leaseName, fence);
      await store.release(SPACE, namespace, [{ key: leaseName, fence }]);
      if (wasHeld) freed.notify(waitKey(namespace, leaseName), 1);
      return freeLease(resource);
    },

    async get(namespace, leaseName) {
      const resource = await resources.get(namespace, leaseName);
      if (resource === undefined) throw notFound("lease", leaseName);
      const { known, nowMs } = await inspect(namespace, resource.held ? [leaseName] : []);
      return describeLease(resource, known[0], nowMs);
    },

    async list({ namespace, pageSize, pageToken }) {
      const after = decodePageToken(pageToken, PagePlace)?.after ?? "";
      const found = await resources.list(namespace, after, pageSize + 1);
      const page = found.slice(0, pageSize);
      const { known, nowMs } = await inspect(
        namespace,
        page.map(({ name }) => name),
      );
      const leases = page.map((resource, index) => describeLease(resource, known[index], nowMs));
      const last = found.length > pageSize ? page.at(-1) : undefined;
      return { leases, ...(last ? { nextPageToken: encodePageToken({ after: last.name }) } : {}) };
    },

    async sweep() {
      const expired = await store.expired(SPACE, MAX_SWEPT_AT_ONCE);
      if (expired.length === 0) return 0;
      const ended = await resources.free(
        expired.map(({ partition, key, fence }) => ({ namespace: partition, name: key, fence })),
      );
      for (const [partition, leases] of Map.groupBy(expired, (lease) => lease.partition)) {
        await store.release(SPACE, partition, leases);
      }
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

function leaseOf(request: AcquireLeaseRequest, outcome: Attempt): Lease {
  if ("lease" in outcome) return outcome.lease;
  throw leaseHeld(request.leaseName, outcome.holder, outcome.remainingMs);
}
