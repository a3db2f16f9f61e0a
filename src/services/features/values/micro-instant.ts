import { z } from "zod";
import { microsFromText, microsToText } from "./micros.ts";

const EARLIEST = 0;
const LATEST = Date.UTC(2200, 0, 1) * 1000;

/** An RFC 3339 instant between 1970 and 2200, in UTC and to the microsecond however it was written. */
export function microInstant(description: string) {
  return z.iso
    .datetime({ offset: true, error: "must be an RFC 3339 time such as 2027-01-31T09:30:00.000001Z" })
    .refine((value) => isWithinBounds(microsFromText(value)), { error: "must lie between the years 1970 and 2200" })
    .overwrite((value) => {
      const micros = microsFromText(value);
      return isWithinBounds(micros) ? microsToText(micros) : value;
    })
    .describe(description);
}

function isWithinBounds(micros: number | undefined): micros is number {
  return micros !== undefined && micros >= EARLIEST && micros < LATEST;
}
