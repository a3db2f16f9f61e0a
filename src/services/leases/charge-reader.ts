import { AppError } from "../../core/errors.ts";
import type { Charge, LeaseCharge } from "./lease-charge.ts";

/** Nobody acts on what was said of the charge longer ago than this. */
export const CHARGE_MAX_AGE_MS = 1_000;
/** How long a heartbeat that a row checks later anyway waits to hear who is in charge. */
const PATIENCE_MS = 250;

/** Remembers for a moment who is in charge, so that calls cost Postgres nothing. */
export interface ChargeReader {
  /** What is at most `CHARGE_MAX_AGE_MS` old; with `orLast`, what was known last where Postgres does not answer. */
  current(orLast?: boolean): Promise<Charge>;
  /** Asks now. */
  fresh(): Promise<Charge>;
}

export function createChargeReader(charge: LeaseCharge, onChange: (now: Charge) => void): ChargeReader {
  let known: { readonly charge: Charge; readonly askedAtMs: number } | undefined;
  let asking: Promise<Charge> | undefined;

  const fresh = async () => {
    const askedAtMs = performance.now();
    const answer = await charge.read();
    const before = known;
    if (before !== undefined && before.askedAtMs > askedAtMs) return answer;
    known = { charge: answer, askedAtMs };
    if (answer.isPrimary !== (before?.charge.isPrimary ?? true)) onChange(answer);
    return answer;
  };
  const ask = () => {
    asking ??= fresh().finally(() => {
      asking = undefined;
    });
    return asking;
  };

  return {
    fresh,
    async current(orLast = false) {
      const ageMs = known ? performance.now() - known.askedAtMs : Number.POSITIVE_INFINITY;
      if (known === undefined || (ageMs >= CHARGE_MAX_AGE_MS && !orLast)) return ask();
      if (ageMs >= CHARGE_MAX_AGE_MS) return (await withPatience(ask())) ?? known.charge;
      // A failure shows when what is known is too old and asked for in earnest.
      if (ageMs > CHARGE_MAX_AGE_MS / 2 && asking === undefined) ask().catch(() => {});
      return known.charge;
    },
  };
}

/** The answer; undefined where it does not come soon, or is that Postgres is away. */
async function withPatience(answer: Promise<Charge>): Promise<Charge | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), PATIENCE_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
