/** One lease as the store remembers it. `key` is unique within its space. */
export interface LeaseGrant {
  readonly key: string;
  /** Grows with each claim; a store ignores what names an older fence than it holds. */
  readonly fence: number;
  readonly ttlMs: number;
}

export interface LeaseName {
  readonly key: string;
  readonly fence: number;
}

/**
 * The liveness half of leases: who is alive, and until when. It is allowed to forget; Postgres rows
 * with their fences decide what is true. Deadlines are computed by the store's own clock.
 *
 * A `space` groups what is looked through together and is at most 200 characters, e.g. `tasks`;
 * `partition` (a namespace) keeps what one call touches in one Redis Cluster slot.
 */
export interface LeaseStore {
  /** Remembers leases; replaces what was known of a key unless that has a higher fence. Answers the deadlines, in milliseconds since the epoch by the store's clock, in the order given. */
  grant(space: string, partition: string, leases: readonly LeaseGrant[]): Promise<number[]>;
  /** Moves deadlines to `ttlMs` from now for leases known under exactly this fence, even those already past. Answers each one's new deadline, or undefined where the store does not know it. */
  extend(space: string, partition: string, leases: readonly LeaseGrant[]): Promise<(number | undefined)[]>;
  /** Forgets leases known under exactly this fence. */
  release(space: string, partition: string, leases: readonly LeaseName[]): Promise<void>;
  /** The deadline of each key (milliseconds since the epoch), past or not, or undefined where the store does not know it. */
  deadlines(space: string, partition: string, keys: readonly string[]): Promise<(number | undefined)[]>;
  /** Up to `limit` leases of the space, in any partition, whose deadline is past. They stay known until released, extended or granted anew. */
  expired(space: string, limit: number): Promise<(LeaseName & { readonly partition: string })[]>;
  /** The store's own time, in milliseconds since the epoch. */
  now(): Promise<number>;
}

/** What a store knows of a key. */
export interface KnownLease {
  readonly fence: number;
  readonly deadlineMs: number;
}

/** A store that can be merged with another one, because it also tells the fences it knows. */
export interface MergeableLeaseStore extends LeaseStore {
  /** What is known of each key, past or not, or undefined. */
  inspect(space: string, partition: string, keys: readonly string[]): Promise<(KnownLease | undefined)[]>;
}
