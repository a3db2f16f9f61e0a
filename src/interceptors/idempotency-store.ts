import type { Database, Queryable } from "../platform/postgres/database.ts";
import type { Migration } from "../platform/postgres/migrate.ts";

/** How an idempotent call ended. SEALED is an answer encrypted under the client's own key. */
export type OutcomeKind = "ANSWER" | "SEALED" | "ERROR";

export interface Outcome {
  readonly kind: OutcomeKind;
  readonly content: Buffer;
}

export interface Claim {
  /** Names caller, operation, namespace and key. */
  readonly id: Buffer;
  readonly namespace: string;
  readonly bodyHash: Buffer;
  /** Of this attempt: only the one that holds the record may end it. */
  readonly token: string;
}

export type ClaimResult =
  | { readonly state: "CLAIMED" }
  | { readonly state: "RUNNING"; readonly bodyHash: Buffer }
  | { readonly state: "DONE"; readonly bodyHash: Buffer; readonly outcome: Outcome };

export interface IdempotencyStore {
  /** Takes the record for this attempt, where nobody has it, its holder has crashed or its day is over. */
  claim(claim: Claim): Promise<ClaimResult>;
  extend(claim: Claim): Promise<void>;
  finish(claim: Claim, outcome: Outcome): Promise<void>;
  /** Lets the next attempt run. */
  free(claim: Claim): Promise<void>;
  /** Deletes up to `count` records whose day is over; answers how many there were. */
  purge(count: number): Promise<number>;
}

/** A gateway that has not said anything for this long has crashed. */
export const CLAIM_MS = 60_000;
const KEPT_MS = 24 * 60 * 60 * 1000;
const MAX_CLAIM_ATTEMPTS = 3;

export const IDEMPOTENCY_MIGRATIONS: readonly Migration[] = [
  {
    id: 150,
    name: "idempotency records",
    sql: `
      CREATE TABLE idempotency_records (
        id bytea PRIMARY KEY,
        namespace text NOT NULL,
        body_hash bytea NOT NULL,
        claim text NOT NULL,
        claimed_until timestamptz NOT NULL,
        outcome text CHECK (outcome IN ('ANSWER', 'SEALED', 'ERROR')),
        content bytea,
        expires_at timestamptz NOT NULL
      );
      CREATE INDEX idempotency_records_by_end ON idempotency_records (expires_at);
      CREATE INDEX idempotency_records_by_namespace ON idempotency_records (namespace);`,
  },
];

interface RecordRow {
  readonly body_hash: Buffer;
  readonly outcome: OutcomeKind | null;
  readonly content: Buffer | null;
}

export function createPostgresIdempotencyStore(database: Database): IdempotencyStore {
  async function take(claim: Claim): Promise<boolean> {
    const { rowCount } = await database.query(
      `INSERT INTO idempotency_records AS record (id, namespace, body_hash, claim, claimed_until, expires_at)
       VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5), now() + make_interval(secs => $6))
       ON CONFLICT (id) DO UPDATE SET
         body_hash = excluded.body_hash, claim = excluded.claim, claimed_until = excluded.claimed_until,
         expires_at = excluded.expires_at, outcome = NULL, content = NULL
       WHERE record.expires_at <= now()
          OR (record.outcome IS NULL AND record.claimed_until <= now() AND record.body_hash = excluded.body_hash)
       RETURNING id`,
      [claim.id, claim.namespace, claim.bodyHash, claim.token, CLAIM_MS / 1000, KEPT_MS / 1000],
    );
    return rowCount === 1;
  }

  return {
    async claim(claim) {
      for (let attempt = 1; attempt <= MAX_CLAIM_ATTEMPTS; attempt += 1) {
        if (await take(claim)) return { state: "CLAIMED" };
        const { rows } = await database.query<RecordRow>(
          "SELECT body_hash, outcome, content FROM idempotency_records WHERE id = $1",
          [claim.id],
        );
        const row = rows[0];
        // Freed between the two statements: it can be taken now.
        if (row === undefined) continue;
        if (row.outcome === null || row.content === null) return { state: "RUNNING", bodyHash: row.body_hash };
        return { state: "DONE", bodyHash: row.body_hash, outcome: { kind: row.outcome, content: row.content } };
      }
      return { state: "RUNNING", bodyHash: claim.bodyHash };
    },

    async extend({ id, token }) {
      await database.query(
        `UPDATE idempotency_records SET claimed_until = now() + make_interval(secs => $3)
         WHERE id = $1 AND claim = $2 AND outcome IS NULL`,
        [id, token, CLAIM_MS / 1000],
      );
    },

    async finish({ id, token }, { kind, content }) {
      await database.query(
        "UPDATE idempotency_records SET outcome = $3, content = $4 WHERE id = $1 AND claim = $2 AND outcome IS NULL",
        [id, token, kind, content],
      );
    },

    async free({ id, token }) {
      await database.query("DELETE FROM idempotency_records WHERE id = $1 AND claim = $2 AND outcome IS NULL", [
        id,
        token,
      ]);
    },

    async purge(count) {
      const { rowCount } = await database.query(
        `DELETE FROM idempotency_records
         WHERE id IN (SELECT id FROM idempotency_records WHERE expires_at <= now() ORDER BY expires_at LIMIT $1)`,
        [count],
      );
      return rowCount;
    },
  };
}

/** Deletes what was answered in a namespace; for its deletion. */
export async function purgeIdempotencyOfNamespace(transaction: Queryable, namespace: string): Promise<void> {
  await transaction.query("DELETE FROM idempotency_records WHERE namespace = $1", [namespace]);
}
