import { buildModel } from "../../src/contract/build-model.ts";
import type { FieldModel, TypeModel } from "../../src/contract/model.ts";
import { operations } from "../../src/operations.ts";
import { type Input, operationNamed } from "../support/clients-model.ts";

const model = buildModel(operations);

function deepJson(levels: number): unknown {
  let value: unknown = "deep";
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? { in: value } : [value];
  return value;
}

const entries = (count: number, value: unknown) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, value]));

const TEXTS: readonly unknown[] = [
  5,
  null,
  "",
  "x".repeat(5000),
  "tab\tin",
  "nul\u0000in",
  "half\ud83d",
  "spaced out",
  "é",
  ["a"],
  {},
];
const NUMBERS: readonly unknown[] = [
  "many",
  null,
  -1,
  0,
  1.5,
  1e15,
  2 ** 60,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  [1],
];
const TIMES: readonly unknown[] = [
  "yesterday",
  5,
  "2027-13-45T00:00:00Z",
  "2027-01-01",
  "1969-12-31T23:59:59.999Z",
  "2300-01-01T00:00:00Z",
];
const IDS: readonly unknown[] = ["not-an-id", "01900000-0000-7000-8000-00000000000g", "", "x".repeat(5000)];

function badValues({ name, type }: FieldModel): readonly unknown[] {
  switch (type.kind) {
    case "enum":
      return ["NO_SUCH_WORD", "", 3, null, "normal"];
    case "list":
      return [
        "one",
        null,
        {},
        Array(1001).fill(sample(type.item)),
        ...badValues({ name, type: type.item } as FieldModel)
          .slice(0, 6)
          .map((bad) => [bad]),
      ];
    case "map":
      return [
        "one",
        null,
        [],
        entries(40, "x"),
        { "not a key!": "x" },
        { "": "x" },
        { key: 5 },
        { key: "x".repeat(5000) },
        { key: "nul\u0000" },
      ];
    case "message":
      return ["one", null, [], { noSuchField: 1 }];
    case "scalar":
      break;
    default:
      return ["OTHER", 5];
  }
  switch (type.scalar) {
    case "timestamp":
      return TIMES;
    case "json":
      return [deepJson(60), { nul: "\u0000" }, ["\udc00 half"], { "half\ud800": 1 }, [Number.NaN], "x".repeat(300_000)];
    case "bool":
      return ["yes", 1, null];
    case "string":
      return /Id$/.test(name) ? [...IDS, ...TEXTS] : TEXTS;
    default:
      return NUMBERS;
  }
}

function sample(type: TypeModel): unknown {
  return type.kind === "message" ? {} : "x";
}

export interface BadInput {
  /** Where it is bad, as errors name it. */
  readonly field: string;
  readonly what: string;
  readonly input: Input;
}

const MAX_DEPTH = 3;
/** Messages within messages whose fields some operation has tried: others that hold them need not do so again. */
const triedWithin = new Set<string>();
/** Schemas of fields that operations share, such as a namespace's: one of them tries all that is bad, the others a little. */
const triedFields = new Set<unknown>();
const FEW = 2;

/** Inputs that the operation's schema refuses, each for one field of a good one, at all depths. */
export function badInputs(operation: string, good: Input): BadInput[] {
  const { input: schema } = operationNamed(operation);
  const found: BadInput[] = [];
  const add = (field: string, what: string, input: Input) => {
    if (!schema.safeParse(input).success) found.push({ field, what, input });
  };
  const walk = (id: string, prefix: string, given: Input, rebuild: (changed: Input) => Input, depth: number) => {
    if (depth > 1 && triedWithin.has(id)) return;
    if (depth > 1) triedWithin.add(id);
    add(`${prefix}noSuchField`, "an unknown field", rebuild({ ...given, noSuchField: 1 }));
    for (const field of model.messages.get(id)?.fields ?? []) {
      const path = prefix + field.name;
      const { [field.name]: value, ...others } = given;
      add(path, "missing", rebuild(others));
      const shared = depth === 1 ? schema.shape[field.name] : undefined;
      const bads = triedFields.has(shared) ? badValues(field).slice(0, FEW) : badValues(field);
      if (shared) triedFields.add(shared);
      for (const bad of bads) add(path, describe(bad), rebuild({ ...given, [field.name]: bad }));
      if (depth >= MAX_DEPTH) continue;
      const { type } = field;
      if (type.kind === "message") {
        walk(
          type.id,
          `${path}.`,
          (value ?? {}) as Input,
          (changed) => rebuild({ ...given, [field.name]: changed }),
          depth + 1,
        );
      }
      if (type.kind === "list" && type.item.kind === "message" && Array.isArray(value)) {
        const [first, ...rest] = value as Input[];
        walk(
          type.item.id,
          `${path}[0].`,
          first!,
          (changed) => rebuild({ ...given, [field.name]: [changed, ...rest] }),
          depth + 1,
        );
      }
    }
  };
  walk(model.input(operationNamed(operation)).id, "", good, (changed) => changed, 1);
  return found;
}

function describe(value: unknown): string {
  if (typeof value === "number") return String(value);
  const text = JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 40)}… (${text.length})` : text;
}
