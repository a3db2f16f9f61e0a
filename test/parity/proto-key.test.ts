import { afterAll, beforeAll, expect, test } from "vitest";
import type { Failure } from "../support/clients-model.ts";
import { expectAlike, onEach } from "./on-each.ts";
import { type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";

let gateway: ParityGateway;

beforeAll(async () => {
  gateway = await startParityGateway();
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

/** As JSON makes it: the key is data, and no prototype. */
const HOLDERS = {
  payload: JSON.parse('{"payload":{"__proto__":1}}'),
  "a payload's depth": JSON.parse('{"payload":{"a":[{"__proto__":{"polluted":true}}]}}'),
  labels: JSON.parse('{"labels":{"__proto__":"x"}}'),
};

test.each(Object.entries(HOLDERS))(
  "a key named __proto__ in %s is refused alike by the three protocols",
  async (name, holder) => {
    const seen = await onEach(gateway, `proto-${name.replaceAll(/\W+/g, "-")}`, async (actor) => {
      const outcome = (await actor.call("tasks.enqueue", { queue: "q", kind: "k", ...holder })) as Failure;
      expect(outcome, actor.protocol).toMatchObject({ ok: false, code: "INVALID_ARGUMENT" });
      return outcome;
    });
    expectAlike(seen);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  },
);

test("a key named constructor is a key like any other", async () => {
  const seen = await onEach(gateway, "constructor-key", async (actor) => {
    const payload = { constructor: { prototype: 1 }, toString: 2 };
    return (await actor.must("tasks.enqueue", { queue: "q", kind: "k", payload })).task.payload;
  });
  expect(seen.rest).toEqual({ constructor: { prototype: 1 }, toString: 2 });
  expectAlike(seen);
});
