import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isRead } from "../../src/core/operation.ts";
import { operations } from "../../src/operations.ts";
import { type Input, type Outcome, operationNamed, PROTOCOLS, type ProtocolName } from "../support/clients-model.ts";
import { eventually } from "../support/eventually.ts";
import { badInputs } from "./bad-values.ts";
import { type Carries, createCarriage } from "./carries.ts";
import { canonicalOutcome } from "./normalise.ts";
import { expectAlike, onEach } from "./on-each.ts";
import { type Actor, type ParityGateway, START_MS, startParityGateway, withNamespace } from "./parity-gateway.ts";
import { ROWS } from "./rows.ts";

const UNARY = operations.filter(({ kind }) => kind === "unary").map(({ name }) => name);
const NAMESPACED = UNARY.filter((name) => "namespace" in operationNamed(name).input.shape);
const MUTATIONS = UNARY.filter((name) => !isRead(operationNamed(name)));

let gateway: ParityGateway;
let carries: Carries;
const keys = { expired: "", revoked: "", stranger: "", nothing: "" };

beforeAll(async () => {
  gateway = await startParityGateway();
  carries = createCarriage();
  const home = await gateway.actor("rest", "home");
  const { secret } = await home.must("keys.create", {
    roles: ["admin"],
    expiresAt: new Date(Date.now() + 1500).toISOString(),
  });
  keys.expired = `Bearer ${secret}`;
  const { apiKey, secret: revoked } = await home.must("keys.create", { roles: ["admin"] });
  await home.must("keys.revoke", { keyId: apiKey.keyId });
  keys.revoked = `Bearer ${revoked}`;
  keys.stranger = await home.key("admin");
  const stranger = { authorization: keys.expired };
  await eventually("the key expires", async () => !(await home.call("system.whoAmI", {}, stranger)).ok);
}, START_MS);

afterAll(async () => {
  await gateway?.stop();
});

test("every operation has a row, and every row an operation", () => {
  expect(Object.keys(ROWS).sort()).toEqual(operations.map(({ name }) => name).sort());
  for (const name of MUTATIONS) expect(ROWS[name]!.other, `another body for ${name}`).toBeDefined();
});

describe.each(UNARY)("%s", (name) => {
  test("answers the same, as its schema says", async () => {
    const { output } = operationNamed(name);
    const seen = await onEach(gateway, `good-${name}`, async (actor) => {
      const outcome = await actor.call(name, await ROWS[name]!.good(actor));
      expect(outcome, actor.protocol).toMatchObject({ ok: true });
      const canonical = canonicalOutcome(name, outcome) as { output: Input };
      const parsed = output.safeParse(canonical.output);
      expect(parsed.error?.issues, `what ${actor.protocol} answers`).toBeUndefined();
      return canonical;
    });
    expectAlike(seen);
  });

  test("refuses who it does not know", async () => {
    const damaged = gateway.admin.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    const credentials: readonly [reason: string, authorization: string | undefined][] = [
      ["CREDENTIALS_MISSING", undefined],
      ["CREDENTIALS_INVALID", "Bearer nonsense"],
      ["CREDENTIALS_INVALID", "Basic dXNlcjpwYXNz"],
      ["CREDENTIALS_INVALID", damaged],
      ["CREDENTIALS_INVALID", keys.revoked],
      ["CREDENTIALS_EXPIRED", keys.expired],
    ];
    const input = withNamespace(name, "home", await exampleOf(name));
    for (const [reason, authorization] of credentials) {
      const seen = await callAll(name, input, { authorization });
      expect(seen.rest, authorization).toMatchObject({ ok: false, code: "UNAUTHENTICATED", reason });
      expectAlike(seen);
    }
  });

  test("refuses bad fields in the same words", async () => {
    const actor = await gateway.actor("rest", `bad-${name.toLowerCase()}`);
    const good = withNamespace(name, actor.namespace, await ROWS[name]!.good(actor));
    const faults: unknown[] = [];
    for (const bad of badInputs(name, good)) {
      const fault = await compareRefusals(name, bad.field, bad.input);
      if (fault) faults.push({ field: bad.field, what: bad.what, ...fault });
    }
    expect(faults).toEqual([]);
  });
});

/** How many bad inputs each protocol could say, so that a test sees that none is spared. */
const refusals: Record<ProtocolName, number> = { rest: 0, grpc: 0, graphql: 0 };
const OWN_BOUNDS = new Set(["URL_TOO_LONG", "GRAPHQL_TOO_COSTLY"]);

/** What is wrong with how the protocols refuse `input`, or nothing. */
async function compareRefusals(name: string, field: string, input: Input): Promise<object | undefined> {
  let first: { protocol: ProtocolName; outcome: Outcome } | undefined;
  for (const protocol of PROTOCOLS) {
    const carriage = carries(protocol, name, input);
    if (carriage === "not") continue;
    const outcome = await gateway.clients[protocol].call(name, input, { authorization: gateway.admin });
    // Bounds of one protocol on its own requests: another reason, with the same code.
    if (!outcome.ok && OWN_BOUNDS.has(outcome.reason) && outcome.code === "INVALID_ARGUMENT") continue;
    if (outcome.ok || outcome.code !== "INVALID_ARGUMENT" || outcome.reason !== "INVALID_ARGUMENT") {
      return { protocol, carriage, outcome };
    }
    const named = outcome.details.fields?.map((violation) => violation.field) ?? [];
    if (!named.some((one) => sameField(one, field)))
      return { protocol, carriage, field, named, message: outcome.message };
    refusals[protocol] += 1;
    if (carriage !== "whole") continue;
    first ??= { protocol, outcome };
    if (JSON.stringify(sorted(outcome)) !== JSON.stringify(sorted(first.outcome))) {
      return { [first.protocol]: first.outcome, [protocol]: outcome };
    }
  }
  return undefined;
}

/** Errors name the field itself, or the item or key of it that is wrong. */
function sameField(named: string, field: string): boolean {
  return named === field || named.startsWith(`${field}[`) || named.startsWith(`${field}.`);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, part]) => [key, sorted(part)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** The same input with the same credential over all three, without anything being taken out. */
async function callAll(name: string, input: Input, options: object): Promise<Record<ProtocolName, Outcome>> {
  const seen = {} as Record<ProtocolName, Outcome>;
  for (const protocol of PROTOCOLS) {
    seen[protocol] = canonicalOutcome(name, await gateway.clients[protocol].call(name, input, options));
  }
  return seen;
}

/** An input that is well-formed, for calls that are refused before anything of it is looked for. */
async function exampleOf(name: string): Promise<Input> {
  let example = examples.get(name);
  if (!example) {
    example = Promise.resolve(ROWS[name]!.good(await exampleActor()));
    examples.set(name, example);
  }
  return example;
}
const examples = new Map<string, Promise<Input>>();
let madeActor: Promise<Actor> | undefined;
const exampleActor = () => (madeActor ??= gateway.actor("rest", "examples"));

describe.each(NAMESPACED)("%s in a namespace", (name) => {
  test("says the same of a namespace that is not there and of one that is not the caller's", async () => {
    const example = await exampleOf(name);
    const said: unknown[] = [];
    for (const namespace of ["examples", "nowhere1"]) {
      const seen = await callAll(name, { ...example, namespace }, { authorization: keys.stranger });
      expect(seen.rest).toMatchObject({ ok: false, code: "NOT_FOUND", reason: "NAMESPACE_NOT_FOUND" });
      expectAlike(seen);
      said.push(JSON.parse(JSON.stringify(seen).replaceAll(namespace, "N")));
    }
    expect(said[1]).toEqual(said[0]);
    const seen = await callAll(name, { ...example, namespace: "nowhere2" }, { authorization: gateway.admin });
    expect(seen.rest).toMatchObject({ ok: false, code: "NOT_FOUND", reason: "NAMESPACE_NOT_FOUND" });
    expectAlike(seen);
  });

  test.skipIf(operationNamed(name).permission === "")("needs its permission", async () => {
    keys.nothing ||= await keyWithout();
    const { permission } = operationNamed(name);
    const authorization = permission === LEAST ? await keyFor("usage.read") : await keyFor(LEAST);
    const seen = await callAll(name, { ...(await exampleOf(name)), namespace: "examples" }, { authorization });
    expect(seen.rest).toMatchObject({ ok: false, code: "PERMISSION_DENIED", reason: "PERMISSION_DENIED" });
    expect((seen.rest as { message: string }).message).toContain(permission);
    expectAlike(seen);
  });
});

const LEAST = "leases.read";
const keysFor = new Map<string, Promise<string>>();
const keyWithout = () => keyFor(LEAST);

/** A key of the namespace of the examples with one permission and no other. */
function keyFor(permission: string): Promise<string> {
  let key = keysFor.get(permission);
  if (!key) {
    key = (async () => {
      const actor = await exampleActor();
      const role = `only-${permission.replace(".", "-").toLowerCase()}`;
      await actor.must("roles.create", { name: role, permissions: [permission] });
      return actor.key(role);
    })();
    keysFor.set(permission, key);
  }
  return key;
}

test("what belongs to the whole gateway needs its permission there", async () => {
  const seen = await callAll("namespaces.create", { name: "not-made" }, { authorization: keys.stranger });
  expect(seen.rest).toMatchObject({ ok: false, code: "PERMISSION_DENIED", reason: "PERMISSION_DENIED" });
  expectAlike(seen);
});

describe.each(MUTATIONS)("%s under an Idempotency-Key", (name) => {
  test("answers a repeat as the first, on whichever protocol, and refuses another body", async () => {
    for (const first of PROTOCOLS) {
      const actor = await gateway.actor(first, `once-${name.toLowerCase()}-${first}`);
      const input = withNamespace(name, actor.namespace, await ROWS[name]!.good(actor));
      const options = { authorization: gateway.admin, idempotencyKey: `${name} "${first}"` };
      const done = canonicalOutcome(name, await gateway.clients[first].call(name, input, options));
      expect(done, first).toMatchObject({ ok: true });
      // Its namespace is gone, so nobody can ask for it again.
      if (name === "namespaces.delete") continue;
      const seen = await callAll(name, input, options);
      for (const protocol of PROTOCOLS) expect(seen[protocol], `${protocol} after ${first}`).toEqual(done);
      const other = await callAll(name, { ...input, ...ROWS[name]!.other }, options);
      expect(other.rest).toMatchObject({ ok: false, code: "ALREADY_EXISTS", reason: "IDEMPOTENCY_KEY_REUSED" });
      expectAlike(other);
    }
  });
});

test("each protocol had its share of bad fields", () => {
  for (const protocol of PROTOCOLS) expect(refusals[protocol], protocol).toBeGreaterThan(300);
});

test("nothing of all this failed inside the gateway", () => {
  expect(gateway.logged).toEqual([]);
});
