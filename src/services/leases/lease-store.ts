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

/** What a store knows of a key. */
export interface KnownLease {
  readonly fence: number;
  /** In milliseconds since the epoch, by the store's clock. */
  readonly deadlineMs: number;
}

export interface RemainingLease extends KnownLease {
  /** How long it is until the deadline, by the store's clock; not more than 0 where that is past. */
  readonly remainingMs: number;
}

/** The space of the leases that clients take on names of their own: key = lease name, partition = namespace. */
export const NAMED_LEASES = "leases";

/**
 * The liveness half of leases: who is alive, and until when. It is allowed to forget; Postgres rows
 * with their fences decide what is true. Deadlines are computed by the store's own clock.
 *
 * What a store does not know is not dead: `adopt` what a row says is held, and believe its end only then.
 *
 * A `space` groups what is looked through together and is at most 150 characters, e.g. `tasks`;
 * `partition` (a namespace) keeps what one call touches in one Redis Cluster slot.
 */
export interface LeaseStore {
  /** Remembers leases; replaces what was known of a key unless that has a higher fence. Answers the deadlines, in milliseconds since the epoch by the store's clock, in the order given, and undefined where a higher fence is known. */
  grant(space: string, partition: string, leases: readonly LeaseGrant[]): Promise<(number | undefined)[]>;
  /** Moves deadlines to `ttlMs` from now for leases known under exactly this fence, even those already past. Answers each one's new deadline, or undefined where the store does not know it. */
  extend(space: string, partition: string, leases: readonly LeaseGrant[]): Promise<(number | undefined)[]>;
  /** Grants those leases of which neither this fence nor a higher one is known, and answers what is known of each then. */
  adopt(space: string, partition: string, leases: readonly LeaseGrant[]): Promise<RemainingLease[]>;
  /** Forgets leases known under exactly this fence whose deadline is past, in one step with looking. Answers which ones. */
  retire(space: string, partition: string, leases: readonly LeaseName[]): Promise<boolean[]>;
  /** Forgets leases known under exactly this fence. */
  release(space: string, partition: string, leases: readonly LeaseName[]): Promise<void>;
  /** What is known of each key, past or not, or undefined. */
  inspect(space: string, partition: string, keys: readonly string[]): Promise<(KnownLease | undefined)[]>;
  /** The deadline of each key (milliseconds since the epoch), past or not, or undefined where the store does not know it. */
  deadlines(space: string, partition: string, keys: readonly string[]): Promise<(number | undefined)[]>;
  /** Up to `limit` leases of the space, in any partition, whose deadline is past. They stay known until retired, released, extended or granted anew. */
  expired(space: string, limit: number): Promise<(LeaseName & { readonly partition: string })[]>;
  /** The store's own time, in milliseconds since the epoch. */
  now(): Promise<number>;
  /** Forgets everything in a space. */
  forget(space: string): Promise<void>;
}
