import CircuitBreaker from "opossum";
import { AppError } from "../../core/errors.ts";
import type { KnownLease, LeaseName, MergeableLeaseStore } from "./lease-store.ts";

export interface FailoverLeaseStoreOptions {
  /** Redis. */
  readonly primary: MergeableLeaseStore;
  /** Postgres. */
  readonly secondary: MergeableLeaseStore;
  /** After this long with an open circuit, one call tries the primary again. */
  readonly retryPrimaryAfterMs?: number;
  /** Hears when the primary is left (true) and when it is back (false). */
  readonly onFailover?: (failedOver: boolean) => void;
}

export interface FailoverLeaseStore extends MergeableLeaseStore {
  /** Ends the circuit breaker's timers. */
  close(): void;
}

const RETRY_PRIMARY_AFTER_MS = 1_000;
const CALLS_BEFORE_JUDGING = 3;
const FAILED_PERCENTAGE = 50;
/** How long after the secondary was last found in use its copies are still released with the primary's. */
const SECONDARY_IN_USE_MS = 15 * 60_000;

/**
 * Keeps leases in `primary`, and in `secondary` while the primary does not answer.
 *
 * Nothing is copied between the two when one takes over; the callers' fences bring them together:
 * - `grant` and `extend` go to the store that answers. A lease the other one granted is unknown
 *   there, so `extend` answers undefined, and the caller, whose fence Postgres still confirms,
 *   grants it again. A lease so moves over with its first heartbeat.
 * - What stays behind in the other store runs out there. So `expired` asks both, and leaves out (and
 *   forgets) a lease that the other store knows to live on, or to have been followed by a newer one.
 * - `deadlines` and `inspect` answer what the store with the higher fence says, and `release` forgets in both.
 */
export function createFailoverLeaseStore(options: FailoverLeaseStoreOptions): FailoverLeaseStore {
  const { secondary } = options;
  const breaker = createBreaker(options);
  let secondaryUsedAtMs = Number.NEGATIVE_INFINITY;
  const secondaryInUse = () => performance.now() - secondaryUsedAtMs < SECONDARY_IN_USE_MS;

  /** Asks the primary; undefined means that it is away. */
  const ask = async <T>(work: (store: MergeableLeaseStore) => Promise<T>): Promise<{ value: T } | undefined> => {
    try {
      return { value: (await breaker.fire(work)) as T };
    } catch (error) {
      if (!isAway(error)) throw error;
      secondaryUsedAtMs = performance.now();
      return undefined;
    }
  };
  const askEither = async <T>(work: (store: MergeableLeaseStore) => Promise<T>): Promise<T> => {
    const answer = await ask(work);
    return answer ? answer.value : work(secondary);
  };

  /** Of the leases that ran out in `store`, those that `other` does not know better. */
  const reallyExpired = async (
    space: string,
    found: readonly Expired[],
    store: MergeableLeaseStore,
    other: MergeableLeaseStore,
  ): Promise<Expired[]> => {
    if (found.length === 0) return [];
    const nowMs = await other.now();
    const kept: Expired[] = [];
    for (const [partition, leases] of Map.groupBy(found, (lease) => lease.partition)) {
      const known = await other.inspect(
        space,
        partition,
        leases.map(({ key }) => key),
      );
      const isOutdated = (lease: Expired, index: number) => knowsBetter(known[index], lease, nowMs);
      kept.push(...leases.filter((lease, index) => !isOutdated(lease, index)));
      await store.release(space, partition, leases.filter(isOutdated));
    }
    return kept;
  };

  const inspect = async (space: string, partition: string, keys: readonly string[]) => {
    const answer = await ask((store) => Promise.all([store.inspect(space, partition, keys), store.now()]));
    if (answer === undefined) return secondary.inspect(space, partition, keys);
    const [known, nowMs] = answer.value;
    // What lives in the primary needs no second opinion, so an ordinary call costs Postgres nothing.
    const doubtful = keys.filter((_, index) => (known[index]?.deadlineMs ?? 0) <= nowMs);
    const others = await secondary.inspect(space, partition, doubtful);
    const otherOf = new Map(doubtful.map((key, index) => [key, others[index]]));
    return keys.map((key, index) => better(known[index], otherOf.get(key)));
  };

  return {
    grant: (space, partition, leases) => askEither((store) => store.grant(space, partition, leases)),
    extend: (space, partition, leases) => askEither((store) => store.extend(space, partition, leases)),
    async release(space, partition, leases) {
      const answer = await ask((store) => store.release(space, partition, leases));
      if (answer === undefined || secondaryInUse()) await secondary.release(space, partition, leases);
    },
    inspect,
    async deadlines(space, partition, keys) {
      return (await inspect(space, partition, keys)).map((known) => known?.deadlineMs);
    },
    async expired(space, limit) {
      const [answer, left] = await Promise.all([
        ask((store) => store.expired(space, limit)),
        secondary.expired(space, limit),
      ]);
      if (left.length > 0) secondaryUsedAtMs = performance.now();
      if (answer === undefined) return left;
      const merged = await ask(async (store) => [
        ...(await reallyExpired(space, answer.value, store, secondary)),
        ...(await reallyExpired(space, left, secondary, store)),
      ]);
      return newestOfEach(merged?.value ?? left).slice(0, limit);
    },
    now: () => askEither((store) => store.now()),
    close: () => breaker.shutdown(),
  };
}

type Expired = LeaseName & { readonly partition: string };
type Work = (store: MergeableLeaseStore) => Promise<unknown>;

function createBreaker(options: FailoverLeaseStoreOptions): CircuitBreaker<[Work], unknown> {
  const breaker = new CircuitBreaker((work: Work) => work(options.primary), {
    // The primary bounds its own calls.
    timeout: false,
    resetTimeout: options.retryPrimaryAfterMs ?? RETRY_PRIMARY_AFTER_MS,
    volumeThreshold: CALLS_BEFORE_JUDGING,
    errorThresholdPercentage: FAILED_PERCENTAGE,
    errorFilter: (error) => !isAway(error),
  });
  breaker.on("open", () => options.onFailover?.(true));
  breaker.on("close", () => options.onFailover?.(false));
  return breaker;
}

/** Whether the primary did not answer, or was not asked because it did not answer lately. */
function isAway(error: unknown): boolean {
  if (error instanceof AppError) return error.code === "UNAVAILABLE";
  return error instanceof Error && "code" in error && (error.code === "EOPENBREAKER" || error.code === "ESHUTDOWN");
}

/** Whether a lease that ran out in one store lives on in the other, or was followed by a newer one there. */
function knowsBetter(known: KnownLease | undefined, lease: LeaseName, nowMs: number): boolean {
  if (known === undefined) return false;
  return known.fence > lease.fence || (known.fence === lease.fence && known.deadlineMs > nowMs);
}

function better(left: KnownLease | undefined, right: KnownLease | undefined): KnownLease | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  if (left.fence !== right.fence) return left.fence > right.fence ? left : right;
  return left.deadlineMs > right.deadlineMs ? left : right;
}

/** A lease may have run out in both stores. */
function newestOfEach(leases: readonly Expired[]): Expired[] {
  const byKey = new Map<string, Expired>();
  for (const lease of leases) {
    const id = JSON.stringify([lease.partition, lease.key]);
    const other = byKey.get(id);
    if (other === undefined || other.fence < lease.fence) byKey.set(id, lease);
  }
  return [...byKey.values()];
}
