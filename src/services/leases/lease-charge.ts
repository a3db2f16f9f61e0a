import type { Queryable } from "../../platform/postgres/database.ts";

/** Which of two stores keeps all leases now. It is the same for every gateway, because Postgres says it. */
export interface Charge {
  /** Tells apart installations that share a Redis. */
  readonly installation: string;
  /** Grows whenever the other store takes over. What was kept under an older one counts for nothing. */
  readonly epoch: number;
  readonly isPrimary: boolean;
}

export interface LeaseCharge {
  read(): Promise<Charge>;
  /** Puts the secondary in charge, unless `epoch` is over already. */
  leavePrimary(epoch: number): Promise<void>;
  /** Notes that some gateway still does not reach the primary. */
  notePrimaryAway(): Promise<void>;
  /** Puts the primary in charge again, unless `epoch` is over already or some gateway noted lately that it is away. Answers whether it did. */
  returnToPrimary(epoch: number): Promise<boolean>;
}

/** A primary that was left again within this time after its return has to be well for longer. */
const STEADY_MS = 60_000;
const QUIET_GROWTH = 4;
const MAX_QUIET_MS = 600_000;

const READ = `SELECT installation, epoch, is_primary AS "isPrimary" FROM lease_charge`;

const LEAVE = `
  UPDATE lease_charge
     SET epoch = epoch + 1, is_primary = false, changed_at = now(), away_at = now(),
         quiet_ms = CASE WHEN changed_at > now() - ${STEADY_MS} * interval '1 millisecond'
                         THEN greatest($2::bigint, least(quiet_ms * ${QUIET_GROWTH}, ${MAX_QUIET_MS}))
                         ELSE $2::bigint END
   WHERE epoch = $1 AND is_primary`;

const NOTE_AWAY = "UPDATE lease_charge SET away_at = now() WHERE NOT is_primary";

const RETURN = `
  UPDATE lease_charge
     SET epoch = epoch + 1, is_primary = true, changed_at = now()
   WHERE epoch = $1 AND NOT is_primary AND away_at < now() - quiet_ms * interval '1 millisecond'`;

/** `quietMs`: for how long no gateway may have found the primary away before it is trusted again. */
export function createLeaseCharge(database: Queryable, { quietMs = 3_000 } = {}): LeaseCharge {
  return {
    async read() {
      return (await database.query<Charge>(READ, [])).rows[0]!;
    },
    async leavePrimary(epoch) {
      await database.query(LEAVE, [epoch, quietMs]);
    },
    async notePrimaryAway() {
      await database.query(NOTE_AWAY, []);
    },
    async returnToPrimary(epoch) {
      return (await database.query(RETURN, [epoch])).rowCount > 0;
    },
  };
}
