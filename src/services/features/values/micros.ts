/**
 * Instants of features are whole microseconds since the Unix epoch: what Postgres and Parquet keep,
 * and exact as a JavaScript number until the year 2255.
 */
export type Micros = number;

export const MICROS_PER_MS = 1000;
export const MICROS_PER_DAY = 86_400_000_000;

const RFC_3339 =
  /^(\d{4})-(\d{2})-(\d{2})[Tt]((?:[01]\d|2[0-3]):\d{2}:\d{2})(?:\.(\d{1,9}))?(?:[Zz]|([+-]\d{2}:\d{2}))$/;
const SHORTEST_MONTH_DAYS = 28;

/** Reads an RFC 3339 time; what is finer than a microsecond is cut off. Undefined where it is none. */
export function microsFromText(text: string): Micros | undefined {
  const parts = RFC_3339.exec(text);
  if (!parts) return undefined;
  const [, year, month, day, time, fraction = "", offset = "Z"] = parts;
  // Date.parse takes the 30th of February for the 2nd of March.
  if (Number(day) > SHORTEST_MONTH_DAYS && Number(day) > daysOfMonth(Number(year), Number(month))) return undefined;
  const ms = Date.parse(`${year}-${month}-${day}T${time}${offset}`);
  if (Number.isNaN(ms)) return undefined;
  return ms * MICROS_PER_MS + Number(fraction.slice(0, 6).padEnd(6, "0"));
}

function daysOfMonth(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** RFC 3339 in UTC, with milliseconds, or with microseconds where there are any. */
export function microsToText(micros: Micros): string {
  const ms = Math.floor(micros / MICROS_PER_MS);
  const text = new Date(ms).toISOString();
  const rest = micros - ms * MICROS_PER_MS;
  return rest === 0 ? text : `${text.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}
