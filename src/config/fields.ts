import { isIP } from "node:net";
import { z } from "zod";

/** The kinds of value a variable can have; each reads text and says in a few words what it wants. */

export function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,15}$/, { error, abort: true })
    .transform(Number)
    .refine((value) => value >= min && value <= max, { error });
}

export function ratio() {
  const error = "must be a number from 0 to 1, such as 0.05";
  return z
    .string()
    .regex(/^\d(\.\d+)?$/, { error, abort: true })
    .transform(Number)
    .refine((value) => value <= 1, { error });
}

/** A port to listen on; 0 lets the system choose a free one. */
export function port() {
  return wholeNumber(0, 65_535);
}

export function host() {
  return z.string().refine((value) => isIP(value) !== 0 || /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/i.test(value), {
    error: "must be an IP address or a host name, such as 127.0.0.1 or 0.0.0.0",
  });
}

export function choice<const Words extends readonly [string, ...string[]]>(...words: Words) {
  return z.enum(words, { error: `must be one of ${words.join(", ")}` });
}

export function onOff() {
  return choice("on", "off").transform((word) => word === "on");
}

/** A path, made absolute from the folder the process was started in. */
export function path() {
  return z.string().max(4096);
}

/** An address with one of the given schemes. The error never repeats the value, which may hold a password. */
export function address(schemes: readonly string[], example: string) {
  const start = new RegExp(`^(${schemes.map((scheme) => scheme.replaceAll("+", "\\+")).join("|")})://[^\\s]+$`);
  return z.string().regex(start, { error: `must look like ${example}` });
}

export function webAddress(example: string) {
  return z.url({ protocol: /^https?$/, error: `must look like ${example}` });
}

/** Web origins, separated by commas. */
export function origins() {
  return z
    .string()
    .transform((text) => text.split(",").map((origin) => origin.trim()))
    .refine((list) => list.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin), {
      error: "must be origins separated by commas, such as https://app.example.com,http://localhost:3000",
    });
}
