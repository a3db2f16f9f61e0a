import { buildModel } from "../../src/contract/build-model.ts";
import type { ContractModel, TypeModel } from "../../src/contract/model.ts";
import { operations } from "../../src/operations.ts";
import { type Outcome, operationNamed } from "../support/clients-model.ts";

/** Fields whose values differ from run to run; only whether they are there is compared. */
const VARYING = new Set([
  "nextPageToken",
  "cursor",
  "oldestReadyAgeMs",
  "windowMs",
  "enqueuedPerSecond",
  "completedPerSecond",
  "failedPerSecond",
  "retryAfterMs",
  "requestId",
]);
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g;
const SECRET = /tarl_[0-9a-z]{12}_[A-Za-z0-9_-]{43}_[0-9a-f]{8}/g;
/** Key ids, where a field or a principal says that they are some; they are replaced wherever they stand. */
const KEY_ID = /(?:"keyId":"|key:)([0-9a-z]{12})\b/g;

/** Puts fixed words in the places of ids, times and secrets, so that transcripts of several runs can be compared. */
export function createNormaliser(namespace: string): (value: unknown) => unknown {
  const words = new Map<string, string>();
  const numbered = (kind: string) => (found: string) => {
    let word = words.get(found);
    if (word === undefined) {
      word = `<${kind} ${[...words.values()].filter((other) => other.startsWith(`<${kind} `)).length + 1}>`;
      words.set(found, word);
    }
    return word;
  };
  return (value) => {
    let text = JSON.stringify(value, maskVarying)
      .replaceAll(namespace, "<namespace>")
      .replace(SECRET, "<secret>")
      .replace(UUID, numbered("id"))
      .replace(TIME, "<time>")
      .replace(/(no longer held with fence )\d+/g, "$1<fence>");
    for (const [, id] of [...text.matchAll(KEY_ID)]) text = text.replaceAll(id!, numbered("key")(id!));
    for (const [id, word] of words) text = text.replaceAll(id, word);
    return JSON.parse(text) as unknown;
  };
}

function maskVarying(key: string, part: unknown): unknown {
  if (VARYING.has(key) && part !== undefined && part !== null) return `<${key}>`;
  // Named leases draw their fences from one sequence for all namespaces.
  const isLease = typeof part === "object" && part !== null && "leaseName" in part && "fence" in part;
  return isLease ? { ...part, fence: "<fence>" } : part;
}

const model = buildModel(operations);

/**
 * The output as every protocol can say it: a field that is null is as good as absent, because
 * GraphQL knows no other way to leave one out. What stands inside of JSON stays as it is.
 */
export function canonicalOutcome(operation: string, outcome: Outcome): Outcome {
  if (!outcome.ok) return outcome;
  const { id } = model.output(operationNamed(operation));
  return { ok: true, output: canonicalMessage(model, id, outcome.output) as Record<string, unknown> };
}

function canonicalMessage(model: ContractModel, id: string, value: unknown): unknown {
  const union = model.unions.get(id);
  const message =
    model.messages.get(id) ??
    model.messages.get(
      union!.members.find((member) => member.value === (value as Record<string, unknown>)[union!.discriminator])!
        .message,
    )!;
  const given = value as Record<string, unknown>;
  const known = new Map(message.fields.map((field) => [field.name, field.type]));
  const result: Record<string, unknown> = {};
  for (const [name, part] of Object.entries(given)) {
    if (part === null || part === undefined) continue;
    const type = known.get(name);
    result[name] = type ? canonicalPart(model, type, part) : part;
  }
  return result;
}

function canonicalPart(model: ContractModel, type: TypeModel, value: unknown): unknown {
  switch (type.kind) {
    case "message":
    case "union":
      return canonicalMessage(model, type.id, value);
    case "list":
      return (value as unknown[]).map((item) =>
        item === null ? zeroOf(model, type.item) : canonicalPart(model, type.item, item),
      );
    case "map":
      return Object.fromEntries(
        Object.entries(value as object).map(([key, item]) => [key, canonicalPart(model, type.value, item)]),
      );
    default:
      return value;
  }
}

const ZEROS = {
  string: "",
  int32: 0,
  int64: 0,
  double: 0,
  bool: false,
  timestamp: "1970-01-01T00:00:00.000Z",
  json: null,
  base64: "",
} as const;

/** What gRPC, which has no null in lists, has in its place. */
function zeroOf(model: ContractModel, type: TypeModel): unknown {
  if (type.kind === "scalar") return ZEROS[type.scalar];
  if (type.kind !== "message") throw new Error(`A list of ${type.kind} has no null.`);
  const lists = model.messages.get(type.id)!.fields.filter((field) => field.type.kind === "list");
  return Object.fromEntries(lists.map(({ name }) => [name, []]));
}
