import { z } from "zod";

/** A named message: its id is its name in .proto, GraphQL and OpenAPI. Unknown fields are refused. */
export function message<Shape extends z.ZodRawShape>(id: string, description: string, shape: Shape) {
  return z.strictObject(shape).meta({ id, description });
}

/**
 * A named set of words, each with what it means; the contracts say it beside the word. `TaskPriority`
 * has `HIGH` in JSON and `TASK_PRIORITY_HIGH` in proto. A list is for words that speak for themselves.
 */
export function enumeration<const Value extends string>(
  id: string,
  description: string,
  values: Readonly<Record<Value, string>> | readonly [Value, ...Value[]],
): z.ZodEnum<{ [Word in Value]: Word }> {
  if (Array.isArray(values)) return z.enum(values as readonly Value[]).meta({ id, description }) as never;
  return z.enum(Object.keys(values) as Value[]).meta({ id, description, values }) as never;
}

// C0 and C1 controls, and halves of surrogate pairs: neither can be stored or shown faithfully.
const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;
const NAME = /^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/;

/** Human text: `min` to `max` UTF-16 units, no control characters, no lone surrogates. */
export function text(max: number, min = 0) {
  return z
    .string()
    .min(min)
    .max(max)
    .refine((value) => !UNPRINTABLE.test(value), { error: "must not hold control characters or lone surrogates" });
}

/** A name people type: 1 to 63 of a-z, 0-9, dot, dash and underscore; starts and ends with a letter or digit. */
export function nameField(description: string) {
  return z
    .string()
    .regex(NAME, { error: "must be 1 to 63 of a-z, 0-9, '.', '-' and '_', and start and end with a letter or digit" })
    .describe(description);
}

/** The namespace a request acts in. */
export const namespaceField = nameField("The namespace, e.g. `default`.");

/** An identifier that a client chose, e.g. a worker's: 1 to `max` characters, no spaces or controls. */
export function identifier(max: number) {
  return z.string().regex(new RegExp(`^[\\x21-\\x7e]{1,${max}}$`), {
    error: `must be 1 to ${max} printable ASCII characters without spaces`,
  });
}

/** A UUID the gateway made. */
export function uuidField(description: string) {
  return z.uuid({ error: "must be a UUID" }).toLowerCase().describe(description);
}

const EARLIEST_MS = Date.UTC(1970, 0, 1);
const LATEST_MS = Date.UTC(2200, 0, 1);

/** An RFC 3339 instant between 1970 and 2200, in UTC with milliseconds however it was written. */
export function instant(description: string) {
  return z.iso
    .datetime({ offset: true, error: "must be an RFC 3339 time such as 2027-01-31T09:30:00Z" })
    .refine((value) => Date.parse(value) >= EARLIEST_MS && Date.parse(value) < LATEST_MS, {
      error: "must lie between the years 1970 and 2200",
    })
    .overwrite((value) => (Number.isNaN(Date.parse(value)) ? value : new Date(value).toISOString()))
    .describe(description);
}

/** A duration in whole milliseconds; the field's name ends in `Ms`. */
export function durationMs(min: number, max: number, description: string) {
  return z.int().min(min).max(max).describe(description);
}
