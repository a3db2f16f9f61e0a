import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { operations } from "../../src/operations.ts";
import { createGrpcWire } from "../support/clients-grpc.ts";
import { type Input, type Outcome, operationNamed, PROTOCOLS, type ProtocolName } from "../support/clients-model.ts";
import { restRequest } from "../support/clients-rest.ts";
import { mutate, mutations } from "./junk-values.ts";
import { type ParityGateway, START_MS, startParityGateway, withNamespace } from "./parity-gateway.ts";
import { ROWS } from "./rows.ts";

/** How long all the junk may take in all; what fits into it depends on the machine. */
const INPUT_BUDGET_MS = 12_000;
const BYTES_BUDGET_MS = 4_000;
/** Nothing may wait longer: junk can be a good request to wait for something. */
const TIMEOUT_MS = 250;
const HEALTH_EVERY = 100;

const NAMES = operations.map(({ name }) => name);
const examples = new Map<string, Input>();
const wire = createGrpcWire();
let gateway: ParityGateway;

beforeAll(async () => {
  gateway = await startParityGateway();
  const actor = await gateway.actor("rest", "junk");
  for (const name of NAMES) examples.set(name, withNamespace(name, "junk", await ROWS[name]!.good(actor)));
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

/** Fails where the gateway is no longer well. */
async function checkHealth(): Promise<void> {
  for (const protocol of PROTOCOLS) {
    const outcome = await gateway.clients[protocol].call("system.whoAmI", {}, { authorization: gateway.admin });
    expect(outcome, `whoAmI over ${protocol} after the junk`).toMatchObject({ ok: true });
  }
  expect(gateway.logged, "what the gateway logged").toEqual([]);
  expect(Object.prototype).not.toHaveProperty("polluted");
}

/** What comes back, or undefined where a client could not even say it. */
async function send(protocol: ProtocolName, name: string, input: Input): Promise<Outcome | undefined> {
  const { kind } = operationNamed(name);
  const options = { authorization: gateway.admin, timeoutMs: TIMEOUT_MS };
  const client = gateway.clients[protocol];
  if (!isSayable(protocol, name, input)) return undefined;
  if (kind === "unary") return client.call(name, input, options);
  if (kind === "bidi") {
    const session = gateway.clients.grpc.session(name, options);
    session.send(input);
    session.finish();
    return firstOf(session);
  }
  const [open] = Object.values(client.streams);
  return firstOf(open!(name, input, options));
}

async function firstOf(stream: { next(): Promise<unknown>; close(): void }): Promise<Outcome> {
  const item = (await stream.next()) as { kind: string; failure?: Outcome };
  stream.close();
  return item.failure ?? { ok: true, output: {} };
}

/** Whether a client can build a request of it at all. */
function isSayable(protocol: ProtocolName, name: string, input: Input): boolean {
  try {
    if (protocol === "grpc") wire.encode(name, input);
    if (protocol === "rest") restRequest(name, input);
    return true;
  } catch {
    return false;
  }
}

test("junk in any operation's input is answered, and never as a fault of the gateway", async () => {
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...NAMES),
      fc.constantFrom(...PROTOCOLS),
      mutations,
      async (name, protocol, changes) => {
        const isBidi = operationNamed(name).kind === "bidi";
        const input = mutate(examples.get(name)!, changes);
        const outcome = await send(isBidi ? "grpc" : protocol, name, input);
        if (outcome && !outcome.ok) {
          expect(["INTERNAL", "UNAVAILABLE", "CANCELLED"], `${outcome.reason}: ${outcome.message}`).not.toContain(
            outcome.code,
          );
          expect(outcome.message.length).toBeGreaterThan(0);
        }
        sent += 1;
        if (sent % HEALTH_EVERY === 0) await checkHealth();
      },
    ),
    { numRuns: 100_000, interruptAfterTimeLimit: INPUT_BUDGET_MS, markInterruptAsFailure: false },
  );
  await checkHealth();
  expect(sent).toBeGreaterThan(30);
}, 60_000);

test("bytes that are no message are refused by every method", async () => {
  let sent = 0;
  const unary = NAMES.filter((name) => operationNamed(name).kind === "unary");
  const damage = fc.record({
    at: fc.nat(),
    keep: fc.nat(),
    bytes: fc.uint8Array({ maxLength: 40 }),
    isFresh: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...unary), damage, async (name, { at, keep, bytes, isFresh }) => {
      const whole = wire.encode(name, examples.get(name)!);
      const cut = at % (whole.length + 1);
      const damaged = isFresh
        ? bytes
        : Buffer.concat([whole.subarray(0, cut), bytes, whole.subarray(cut + (keep % (whole.length - cut + 1)))]);
      const options = { authorization: gateway.admin, timeoutMs: TIMEOUT_MS };
      const outcome = await gateway.clients.grpc.callBytes(name, damaged, options);
      if (!outcome.ok) expect(outcome.code, outcome.message).not.toBe("INTERNAL");
      sent += 1;
      if (sent % HEALTH_EVERY === 0) await checkHealth();
    }),
    { numRuns: 100_000, interruptAfterTimeLimit: BYTES_BUDGET_MS, markInterruptAsFailure: false },
  );
  await checkHealth();
  expect(sent).toBeGreaterThan(10);
}, 30_000);
