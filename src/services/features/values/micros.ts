/**
 * Instants of features are whole microseconds since the Unix epoch: what Postgres and Parquet keep,
 * and exact as a JavaScript number until the year 2255.
 */
export type Micros = number;

export const MICROS_PER_MS = 1000;
export const MICROS_PER_DAY = 86_400_000_000;

const MICROS_PER_SECOND = 1_000_000;
/** 400 years, after which the calendar repeats. */
const DAYS_OF_ERA = 146_097;
const DAYS_FROM_MARCH_0000 = 719_468;
/** "00" to "99". */
const PAIRS = Array.from({ length: 100 }, (_, number) => String(number).padStart(2, "0"));

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
  const day = Math.floor(micros / MICROS_PER_DAY);
  const ofDay = micros - day * MICROS_PER_DAY;
  const seconds = Math.floor(ofDay / MICROS_PER_SECOND);
  const fraction = ofDay - seconds * MICROS_PER_SECOND;
  const ms = Math.floor(fraction / MICROS_PER_MS);
  const rest = fraction - ms * MICROS_PER_MS;
  const minutes = Math.floor(seconds / 60);
  const time = `${PAIRS[Math.floor(minutes / 60)]}:${PAIRS[minutes % 60]}:${PAIRS[seconds % 60]}.${triple(ms)}`;
  return `${dayToText(day)}T${time}${rest === 0 ? "" : triple(rest)}Z`;
}

/** The days since the epoch as a date of the Gregorian calendar; from March on, so that a leap day is a year's last. */
function dayToText(day: number): string {
  const sinceMarch = day + DAYS_FROM_MARCH_0000;
  const era = Math.floor(sinceMarch / DAYS_OF_ERA);
  const ofEra = sinceMarch - era * DAYS_OF_ERA;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * ofYear + 2) / 153);
  const dayOfMonth = ofYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + 400 * era + (month <= 2 ? 1 : 0);
  return `${PAIRS[Math.floor(year / 100)]}${PAIRS[year % 100]}-${PAIRS[month]}-${PAIRS[dayOfMonth]}`;
}

function triple(number: number): string {
  return String(number).padStart(3, "0");
}
