import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Failure, Outcome } from "../support/clients-model.ts";
import { expectAlike, onEach } from "./on-each.ts";
import { type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";
import { createNotebook, SCENARIOS } from "./scenarios.ts";

let gateway: ParityGateway;

beforeAll(async () => {
  gateway = await startParityGateway();
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

const word = ({ outcome }: { outcome: Outcome }) => (outcome.ok ? "OK" : outcome.reason);

describe.each(Object.entries(SCENARIOS))("%s", (name, { settings = {}, expected, run }) => {
  test("is told alike by the three protocols", async () => {
    const seen = await onEach(
      gateway,
      name.replaceAll(/[^a-z]+/g, "-"),
      async (actor) => {
        const book = createNotebook(actor);
        await run(book);
        expect(book.notes.map(word), actor.protocol).toEqual(expected);
        return book.notes;
      },
      settings,
    );
    expectAlike(seen);
  });
});

test("a deadline that passes is told with the same code", async () => {
  const seen = await onEach(gateway, "deadline", async (actor) => {
    await actor.must("leases.acquire", { leaseName: "busy", holder: "a", ttlMs: 60_000 });
    const wait = { leaseName: "busy", holder: "b", ttlMs: 60_000, waitMs: 20_000 };
    const outcomes = [
      await actor.call("leases.acquire", wait, { timeoutMs: 120 }),
      await actor.call("tasks.lease", { queue: "none", workerId: "w", waitMs: 20_000 }, { timeoutMs: 120 }),
    ];
    const exceeded = { code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED" };
    for (const outcome of outcomes) expect(outcome, actor.protocol).toMatchObject(exceeded);
    return outcomes.map((outcome) => (outcome.ok ? "OK" : outcome.code));
  });
  expectAlike(seen);
});

test("a namespace's rate limit is answered alike, with the time to come back", async () => {
  const seen = await onEach(
    gateway,
    "limited",
    async (actor) => {
      let refused: Failure | undefined;
      for (let call = 0; call < 20 && !refused; call += 1) {
        const outcome = await actor.call("queues.list");
        if (!outcome.ok) refused = outcome;
      }
      expect(refused, actor.protocol).toMatchObject({ code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED" });
      expect(refused!.retryAfterMs, actor.protocol).toBeGreaterThan(0);
      expect(refused!.details.quota?.subject).toBe(`namespaces/${actor.namespace}`);
      return { ...refused, message: refused!.message.replace(/in \d+ s/, "in some s") };
    },
    { quotas: { rateLimitPerMinute: 3 } },
  );
  expectAlike(seen);
});

test("a request past the size limit is refused with the same code", async () => {
  const seen = await onEach(gateway, "oversized", async (actor) => {
    const outcome = await actor.call("tasks.enqueue", { queue: "q", kind: "k", payload: "x".repeat(5_000_000) });
    const { code, reason } = outcome as Failure;
    return { code, reason };
  });
  expect(seen.rest).toEqual({ code: "RESOURCE_EXHAUSTED", reason: "BODY_TOO_LARGE" });
  expectAlike(seen);
});

test("nothing of all this failed inside the gateway", () => {
  expect(gateway.logged).toEqual([]);
});
