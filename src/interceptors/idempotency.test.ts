import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { eventually } from "../../test/support/eventually.ts";
import { AppError } from "../core/errors.ts";
import type { Exchange } from "../core/exchange.ts";
import { createIdGenerator } from "../core/ids.ts";
import { silentLogger } from "../core/logger.ts";
import { operation } from "../core/operation.ts";
import { message, namespaceField } from "../core/schema.ts";
import { OUTCOME_UNKNOWN } from "../platform/postgres/database-error.ts";
import { createApiKey } from "../services/tenancy/key-operations.ts";
import { idempotency } from "./idempotency.ts";
import type { IdempotencyStore } from "./idempotency-store.ts";
import { createDispatcherFixture, type DispatcherFixture } from "./test-fixture.ts";

interface Work {
  runs: number;
  run(): Promise<number>;
}

const work: Work = { runs: 0, run: async () => 0 };

const doWork = operation({
  name: "work.do",
  summary: "Does it.",
  rest: "POST /v1/namespaces/{namespace}/work",
  grpc: "WorkService/DoWork",
  graphql: "mutation doWork",
  permission: "tasks.enqueue",
  input: message("DoWorkRequest", "What to do.", {
    namespace: namespaceField,
    left: z.int().optional(),
    right: z.int().optional(),
  }),
  output: message("DoWorkResponse", "What was done.", { result: z.int() }),
  handle: async (services: { readonly work: Work }) => ({ result: await services.work.run() }),
});

let fixture: DispatcherFixture;
let keys = 0;
const newKey = () => `key-${++keys}`;
const input = { namespace: "default", left: 1, right: 2 };

beforeAll(async () => {
  fixture = await createDispatcherFixture({ work });
});
beforeEach(() => {
  work.runs = 0;
  work.run = async () => ++work.runs;
});
afterAll(() => fixture.close());

function send(idempotencyKey: string, body: object = input, apiKey?: string) {
  return fixture.unary(doWork, body, fixture.call(apiKey, { idempotencyKey }));
}

test("a repeat is answered as the first was, whatever order its fields come in", async () => {
  const key = newKey();
  expect(await send(key)).toEqual({ result: 1 });
  expect(await send(key, { right: 2, left: 1, namespace: "default" })).toEqual({ result: 1 });
  expect(await send(newKey())).toEqual({ result: 2 });
});

test("another body under the same key is refused; another caller's key is another key", async () => {
  const key = newKey();
  await send(key);
  await expect(send(key, { ...input, left: 5 })).rejects.toMatchObject({
    code: "ALREADY_EXISTS",
    reason: "IDEMPOTENCY_KEY_REUSED",
  });
  const { secret } = await fixture.createKey("default", "operator");
  expect(await send(key, { ...input, left: 5 }, secret)).toEqual({ result: 2 });
});

test("of many at once one runs, and the others are told to come back", async () => {
  const key = newKey();
  const gate = Promise.withResolvers<void>();
  work.run = async () => {
    work.runs += 1;
    await gate.promise;
    return work.runs;
  };
  const all = Promise.allSettled(Array.from({ length: 10 }, () => send(key)));
  await expect(send(key)).rejects.toMatchObject({ reason: "IDEMPOTENCY_IN_PROGRESS", retryAfterMs: 1000 });
  gate.resolve();
  const answers = await all;
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(work.runs).toBe(1);
  expect(await send(key)).toEqual({ result: 1 });
});

test("what is wrong stays wrong, and what may pass is tried again", async () => {
  const [stable, passing] = [newKey(), newKey()];
  work.run = async () => {
    work.runs += 1;
    throw new AppError("FAILED_PRECONDITION", "NOT_NOW", "Not now.", { details: { metadata: { why: "because" } } });
  };
  const refusal = { reason: "NOT_NOW", details: { metadata: { why: "because" } } };
  await expect(send(stable)).rejects.toMatchObject(refusal);
  await expect(send(stable)).rejects.toMatchObject(refusal);
  expect(work.runs).toBe(1);

  work.run = () => Promise.reject(new AppError("UNAVAILABLE", "AWAY", "Away."));
  await expect(send(passing)).rejects.toMatchObject({ reason: "AWAY" });
  work.run = async () => 42;
  expect(await send(passing)).toEqual({ result: 42 });
});

test("what may have been done is not done again, and repeats are told to look", async () => {
  const key = newKey();
  work.run = () => {
    work.runs += 1;
    return Promise.reject(new AppError("UNAVAILABLE", OUTCOME_UNKNOWN, "Lost."));
  };
  await expect(send(key)).rejects.toMatchObject({ code: "UNAVAILABLE", reason: OUTCOME_UNKNOWN });
  await expect(send(key)).rejects.toMatchObject({ code: "ABORTED", reason: OUTCOME_UNKNOWN, retryAfterMs: undefined });
  expect(work.runs).toBe(1);
});

/** The layer alone, on the real store with some of its verbs replaced. */
function layerOn(replaced: Partial<IdempotencyStore>, key: string) {
  const store = { ...fixture.idempotencyStore, ...replaced };
  const ids = createIdGenerator(fixture.clock);
  const layer = idempotency({ store, ids, logger: silentLogger });
  const exchange = { operation: doWork, input, call: fixture.call(undefined, { idempotencyKey: key }) };
  return () => layer(exchange as Exchange, async () => ({ result: await work.run() }));
}

test("an outcome that could not be written is written when the database is back", async () => {
  const key = newKey();
  let failures = 0;
  const call = layerOn(
    {
      async finish(claim, outcome) {
        failures += 1;
        if (failures <= 1) throw new AppError("UNAVAILABLE", "DATABASE_UNAVAILABLE", "Away.");
        await fixture.idempotencyStore.finish(claim, outcome);
      },
    },
    key,
  );
  expect(await call()).toEqual({ result: 1 });
  await expect(call()).rejects.toMatchObject({ reason: "IDEMPOTENCY_IN_PROGRESS" });
  await eventually("the answer is there", () => call().catch(() => undefined));
  expect(await call()).toEqual({ result: 1 });
  expect(work.runs).toBe(1);
});

test("a claim whose answer was lost is taken back, for nothing has run", async () => {
  const key = newKey();
  let losses = 0;
  const call = layerOn(
    {
      async claim(claim) {
        const claimed = await fixture.idempotencyStore.claim(claim);
        losses += 1;
        if (losses <= 1) throw new AppError("UNAVAILABLE", OUTCOME_UNKNOWN, "Lost.");
        return claimed;
      },
    },
    key,
  );
  await expect(call()).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
  expect(await call()).toEqual({ result: 1 });
});

test("an answer that came after the deadline is there for the repeat", async () => {
  const key = newKey();
  const gate = Promise.withResolvers<void>();
  work.run = async () => {
    await gate.promise;
    return 7;
  };
  const late = fixture.unary(doWork, input, fixture.call(undefined, { idempotencyKey: key, timeoutMs: 30 }));
  await expect(late).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  gate.resolve();
  await expect.poll(() => send(key).catch(() => undefined)).toEqual({ result: 7 });
});

test("the claim of a gateway that crashed is taken over when it ends", async () => {
  const key = newKey();
  work.run = () => new Promise(() => {});
  send(key).catch(() => {});
  await expect.poll(() => send(key).catch((error) => error.reason)).toBe("IDEMPOTENCY_IN_PROGRESS");
  await fixture.database.query("UPDATE idempotency_records SET claimed_until = now() WHERE outcome IS NULL", []);
  work.run = async () => 3;
  expect(await send(key)).toEqual({ result: 3 });
});

test("a record ends after a day, and is deleted then", async () => {
  const key = newKey();
  await send(key);
  await fixture.database.query("UPDATE idempotency_records SET expires_at = now()", []);
  expect(await fixture.idempotencyStore.purge(1000)).toBeGreaterThan(0);
  expect(await send(key)).toEqual({ result: 2 });
});

test("a secret is answered again, and cannot be read from the database", async () => {
  const key = newKey();
  const request = { namespace: "default", roles: ["viewer"] };
  const create = () => fixture.unary(createApiKey, request, fixture.call(undefined, { idempotencyKey: key }));
  const first = (await create()) as { secret: string; apiKey: object };
  const again = (await create()) as { secret: string };
  expect(again.secret).toBe(first.secret);
  const { rows } = await fixture.database.query<{ content: Buffer }>(
    "SELECT content FROM idempotency_records WHERE outcome = 'SEALED'",
    [],
  );
  expect(rows).toHaveLength(1);
  expect(rows[0]!.content.includes(first.secret)).toBe(false);
  expect(rows[0]!.content.includes("apiKey")).toBe(false);
});

test("a key must be printable and of some length", async () => {
  for (const key of ["", "x".repeat(256), "a\nb", "ü"]) {
    await expect(send(key)).rejects.toMatchObject({ details: { fields: [{ field: "Idempotency-Key" }] } });
  }
});
