import fc from "fast-check";
import type { Input } from "../support/clients-model.ts";

const WEIRD_TEXTS = [
  "",
  " ",
  "\u0000",
  "\ud800",
  "\udfff\ud83d",
  "\u202eright to left",
  "e\u0301\u0323".repeat(50),
  "👩‍👩‍👧‍👦",
  "\r\nSet-Cookie: a=b",
  "../../etc/passwd",
  "..",
  ".",
  "%2F%00",
  "'; DROP TABLE tasks; --",
  "__proto__",
  "constructor",
  "x".repeat(100_000),
  "NaN",
  "null",
  "1e999",
  "9007199254740993",
  "2027-02-30T25:61:61Z",
  "+275760-09-13T00:00:00.001Z",
  "default",
  "*",
] as const;
const WEIRD_NUMBERS = [
  0,
  -0,
  -1,
  0.1,
  1e-320,
  2 ** 31,
  -(2 ** 31) - 1,
  2 ** 53,
  2 ** 64,
  1e308,
  Number.NaN,
  -1 / 0,
] as const;
/** Objects as JSON makes them, with keys that code might trip over. */
const WEIRD_OBJECTS = [
  '{"__proto__":{"polluted":true}}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"toString":1,"valueOf":2,"hasOwnProperty":3}',
  '{"then":1}',
  '{"":null}',
  "[[[[[[null]]]]]]",
  `${"[".repeat(90)}${"]".repeat(90)}`,
  `{"k":${"[".repeat(3000)}${"]".repeat(3000)}}`,
  "[null,null]",
  '{"type":"START"}',
  '{"length":4294967296}',
] as const;

const junk = fc.oneof(
  fc.constantFrom<unknown>(...WEIRD_TEXTS),
  fc.constantFrom<unknown>(...WEIRD_NUMBERS, null, true, false, undefined),
  fc.constantFrom(...WEIRD_OBJECTS).map((text) => JSON.parse(text) as unknown),
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.jsonValue({ maxDepth: 3 }),
  fc.constant(2000).map((length) => Array.from({ length }, (_, index) => index)),
  fc.constant(2000).map((length) => Object.fromEntries(Array.from({ length }, (_, index) => [`k${index}`, "v"]))),
);

interface Mutation {
  readonly kind: "replace" | "remove" | "add" | "wrap" | "repeat";
  /** Picks one of the places in the input. */
  readonly place: number;
  readonly value: unknown;
  readonly key: string;
}

/** Changes to a good input, that make junk of some of it. */
export const mutations: fc.Arbitrary<readonly Mutation[]> = fc.array(
  fc.record({
    kind: fc.constantFrom("replace", "replace", "replace", "remove", "add", "wrap", "repeat"),
    place: fc.nat(),
    value: junk,
    key: fc.oneof(fc.constantFrom("__proto__", "extra", "namespace", "constructor", ""), fc.string({ maxLength: 20 })),
  }),
  { minLength: 1, maxLength: 3 },
);

export function mutate(good: Input, changes: readonly Mutation[]): Input {
  const input = structuredClone(good);
  for (const change of changes) apply(input, change);
  return input;
}

function apply(input: Input, { kind, place, value, key }: Mutation): void {
  const places = placesOf(input);
  const { holder, name } = places[place % places.length] ?? { holder: input, name: "extra" };
  const current = holder[name];
  if (kind === "remove") delete holder[name];
  else if (kind === "add") setOwn(holder, key, value);
  else if (kind === "wrap") holder[name] = place % 2 === 0 ? [current] : { value: current };
  else if (kind === "repeat") holder[name] = Array(50).fill(current);
  else holder[name] = value;
}

function placesOf(value: Input, found: { holder: Input; name: string }[] = []) {
  for (const [name, part] of Object.entries(value)) {
    found.push({ holder: value, name });
    if (found.length < 200 && typeof part === "object" && part !== null) placesOf(part as Input, found);
  }
  return found;
}

function setOwn(holder: Input, key: string, value: unknown): void {
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}
