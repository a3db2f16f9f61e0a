import { AppError } from "../../core/errors.ts";
import { CHARGE_MAX_AGE_MS, createChargeReader } from "./charge-reader.ts";
import type { Charge, LeaseCharge } from "./lease-charge.ts";
import { type LeaseStore, NAMED_LEASES } from "./lease-store.ts";

export interface FailoverLeaseStoreOptions {
  /** Redis. */
  readonly primary: LeaseStore;
  /** Postgres. */
  readonly secondary: LeaseStore;
  /** Says which of the two is in charge, for all gateways. */
  readonly charge: LeaseCharge;
  /** While the primary is not in charge, it is tried this often. */
  readonly retryPrimaryAfterMs?: number;
  /** Hears when the primary is left (true) and when it is back (false), by whichever gateway. */
  readonly onFailover?: (failedOver: boolean) => void;
}

export interface FailoverLeaseStore extends LeaseStore {
  /** Ends the attempts to come back to the primary. */
  close(): void;
}

const RETRY_PRIMARY_AFTER_MS = 1_000;
/** How often one call may find that the charge has changed meanwhile. */
const MAX_CHANGES = 5;
/** A gateway may extend leases in the store that was left for as long as it believes the old charge and a command then takes. */
const ADOPTION_MARGIN_MS = CHARGE_MAX_AGE_MS + 1_000;
/** Leases of this many epochs before the present one are cleared away whenever the primary takes over. */
const EPOCHS_CLEARED = 10;
/** Spread over the slots of a cluster, so that most nodes are tried. */
const PROBED_PARTITIONS = Array.from({ length: 16 }, (_, index) => `probe-${index}`);

/**
 * Keeps leases in `primary`, and in `secondary` while the primary does not answer.
 *
 * One of the two is in charge, for all gateways at once: a row in Postgres says which, and under
 * which epoch. A gateway that finds the primary away puts the secondary in charge; when no gateway
 * has found it away for a while, it comes back. Nothing is copied: every epoch has spaces of its
 * own, which start out empty, so what a store kept through an outage is never believed. A lease
 * that is unknown then is not dead: a heartbeat finds its row and grants it again, and `adopt`
 * gives the others their whole time anew.
 */
export function createFailoverLeaseStore(options: FailoverLeaseStoreOptions): FailoverLeaseStore {
  const { primary, secondary, charge } = options;
  const retryMs = options.retryPrimaryAfterMs ?? RETRY_PRIMARY_AFTER_MS;
  const reader = createChargeReader(charge, ({ isPrimary }) => options.onFailover?.(!isPrimary));
  const spaces = new Set<string>();
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let trying: Promise<void> | undefined;
  let closed = false;

  const comeBack = async ({ epoch }: Charge) => {
    try {
      await tryWriting(primary);
    } catch {
      await charge.notePrimaryAway();
      return;
    }
    if (!(await charge.returnToPrimary(epoch))) return;
    await clearAway([primary, secondary], spaces, await reader.fresh());
  };
  const tryPrimary = (current: Charge) => {
    if (closed || trying || performance.now() - triedAtMs < retryMs) return;
    triedAtMs = performance.now();
    // A failure leaves the secondary in charge; the next call tries again.
    trying = comeBack(current)
      .catch(() => {})
      .finally(() => {
        trying = undefined;
      });
  };

  /** Undefined means that the primary did not answer. */
  const askPrimary = async <T>(work: Work<T>, inEpoch: InEpoch): Promise<{ value: T } | undefined> => {
    try {
      return { value: await work(primary, inEpoch) };
    } catch (error) {
      if (error instanceof AppError && error.code === "UNAVAILABLE") return undefined;
      throw error;
    }
  };

  /** Lets the store in charge work. What decides that a lease is dead names `decides`: it counts only if that store was in charge to its end. */
  const run = async <T>(work: Work<T>, { decides = false, orLast = false } = {}): Promise<T> => {
    for (let changes = 0; changes < MAX_CHANGES; changes += 1) {
      const current = await reader.current(orLast);
      const inEpoch = (space: string) => {
        spaces.add(space);
        return spaceOf(space, current, current.epoch);
      };
      if (!current.isPrimary) tryPrimary(current);
      const answer = current.isPrimary ? await askPrimary(work, inEpoch) : { value: await work(secondary, inEpoch) };
      if (answer === undefined) await charge.leavePrimary(current.epoch);
      const isOver = (answer === undefined || decides) && (await reader.fresh()).epoch !== current.epoch;
      if (answer && !isOver) return answer.value;
    }
    throw new AppError("UNAVAILABLE", "LEASES_UNAVAILABLE", "Leases change hands at the moment. Try again shortly.", {
      retryAfterMs: CHARGE_MAX_AGE_MS,
    });
  };

  return {
    grant: (space, partition, leases) => run((store, inEpoch) => store.grant(inEpoch(space), partition, leases)),
    extend: (space, partition, leases) =>
      // Where a row checks every fence in the end, heartbeats go on while Postgres is away. A named lease has nothing
      // else that keeps two from holding it.
      run((store, inEpoch) => store.extend(inEpoch(space), partition, leases), { orLast: space !== NAMED_LEASES }),
    adopt: (space, partition, leases) =>
      run((store, inEpoch) => store.adopt(inEpoch(space), partition, leases.map(withMargin)), { decides: true }),
    retire: (space, partition, leases) =>
      run((store, inEpoch) => store.retire(inEpoch(space), partition, leases), { decides: true }),
    release: (space, partition, leases) => run((store, inEpoch) => store.release(inEpoch(space), partition, leases)),
    inspect: (space, partition, keys) => run((store, inEpoch) => store.inspect(inEpoch(space), partition, keys)),
    deadlines: (space, partition, keys) => run((store, inEpoch) => store.deadlines(inEpoch(space), partition, keys)),
    expired: (space, limit) => run((store, inEpoch) => store.expired(inEpoch(space), limit), { decides: true }),
    now: () => run((store) => store.now()),
    forget: (space) => run((store, inEpoch) => store.forget(inEpoch(space))),
    close() {
      closed = true;
    },
  };
}

type InEpoch = (space: string) => string;
type Work<T> = (store: LeaseStore, inEpoch: InEpoch) => Promise<T>;

function spaceOf(space: string, { installation }: Charge, epoch: number): string {
  return `${space}@${installation}.${epoch}`;
}

function withMargin<Lease extends { readonly ttlMs: number }>(lease: Lease): Lease {
  return { ...lease, ttlMs: lease.ttlMs + ADOPTION_MARGIN_MS };
}

/** Writes, because a Redis that only reads, or is full, does not do. */
async function tryWriting(store: LeaseStore): Promise<void> {
  const lease = { key: "probe", fence: 1 };
  for (const verb of ["grant", "release"] as const) {
    await Promise.all(PROBED_PARTITIONS.map((partition) => store[verb]("probe", partition, [{ ...lease, ttlMs: 0 }])));
  }
}

/** Clears away what was kept in epochs that are over. What a gateway that has not heard of it writes there still goes at the next change. */
async function clearAway(stores: readonly LeaseStore[], spaces: Iterable<string>, current: Charge): Promise<void> {
  const first = Math.max(1, current.epoch - EPOCHS_CLEARED);
  for (const store of stores) {
    for (const space of spaces) {
      for (let epoch = first; epoch < current.epoch; epoch += 1) await store.forget(spaceOf(space, current, epoch));
    }
  }
}
