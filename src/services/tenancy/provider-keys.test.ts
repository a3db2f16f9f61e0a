import { once } from "node:events";
import type { RequestListener, ServerResponse } from "node:http";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../../../test/support/eventually.ts";
import { silentLogger } from "../../core/logger.ts";
import { createJwtAuthenticator, type JwtAuthenticator } from "./jwt-authenticator.ts";
import { createTenancyFixture, createTestClock, type TenancyFixture, type TestClock } from "./test-fixture.ts";
import { createTestIdentityProvider, type TestIdentityProvider } from "./test-identity-provider.ts";

const MINUTE_MS = 60_000;
const unavailable = { code: "UNAVAILABLE", reason: "IDENTITY_PROVIDER_UNAVAILABLE" };
const invalid = { code: "UNAUTHENTICATED", reason: "CREDENTIALS_INVALID" };
let fixture: TenancyFixture;
let clock: TestClock;
let provider: TestIdentityProvider;
let authenticator: JwtAuthenticator;
let pauses: { ms: number; end: () => void }[];

beforeAll(async () => {
  fixture = await createTenancyFixture();
});
afterAll(() => fixture.close());
beforeEach(async () => {
  clock = createTestClock();
  provider = await createTestIdentityProvider(clock);
  pauses = [];
  authenticator = createJwtAuthenticator({
    issuers: [provider],
    database: fixture.database,
    clock,
    logger: silentLogger,
    maxAgeMs: 5000,
    maxEntries: 100,
    pause: (ms) => new Promise<void>((end) => pauses.push({ ms, end })),
  });
});
afterEach(() => provider.close());

/** Ends the pauses that are under way, with the clock moved on by as long as they are. */
function endPauses(): void {
  for (const { ms, end } of pauses.splice(0)) {
    clock.advance(ms);
    end();
  }
}

let tokens = 0;
/** Whom a token speaks for, asked with a token that nobody remembers. */
async function subjectOf(keyId = "one"): Promise<string> {
  tokens += 1;
  return (await authenticator.authenticate(await provider.token({ jti: String(tokens) }, keyId))).id;
}
const ada = "jwt:https://id.example#ada";
const broken: RequestListener = (_request, response) => {
  response.writeHead(500).end("no");
};

function endless(response: ServerResponse): Promise<number> {
  const chunk = Buffer.alloc(65_536, " ");
  let sentBytes = 0;
  const write = () => {
    do sentBytes += chunk.length;
    while (response.write(chunk));
  };
  response.on("drain", write);
  write();
  return once(response, "close").then(() => sentBytes);
}

test("an answer without end is cut off", async () => {
  let sentBytes: Promise<number> | undefined;
  provider.answerWith((_request, response) => {
    sentBytes = endless(response);
  });
  await expect(subjectOf()).rejects.toMatchObject(unavailable);
  expect(await sentBytes).toBeLessThan(16 * 1024 * 1024);
});

const answers: Record<string, (provider: TestIdentityProvider) => string> = {
  "a list": () => "[]",
  "a page": () => "<!doctype html><title>Sign in</title>",
  nothing: () => "",
  "an object without keys": () => "{}",
  "keys that are no objects": () => '{"keys": [1]}',
  "nesting without end": () => `{"keys": [{"kid": ${"[".repeat(200_000)}${"]".repeat(200_000)}}]}`,
  "more keys than anybody has": ({ published }) =>
    JSON.stringify({
      keys: [...published(), ...Array.from({ length: 300 }, (_, kid) => ({ kty: "EC", kid: `${kid}` }))],
    }),
  "a key that is damaged": ({ published }) => JSON.stringify({ keys: [{ ...published()[0], x: "AAAA" }] }),
};
test.each(Object.keys(answers))("where the provider answers with %s, the token is not at fault", async (name) => {
  provider.answerWith((_request, response) => {
    response.end(answers[name]!(provider));
  });
  await expect(subjectOf()).rejects.toMatchObject(unavailable);
});

test("a key that nobody understands does not spoil the others", async () => {
  provider.answerWith((_request, response) => {
    response.end(JSON.stringify({ keys: [{ kty: "NEW", kid: "x" }, { kid: 5 }, ...provider.published()] }));
  });
  expect(await subjectOf()).toBe(ada);
});

test("a redirect is not followed", async () => {
  provider.answerWith((request, response) => {
    if (request.url === "/elsewhere") response.end(JSON.stringify({ keys: provider.published() }));
    else response.writeHead(302, { location: "/elsewhere" }).end();
  });
  await expect(subjectOf()).rejects.toMatchObject(unavailable);
  expect(provider.fetches()).toBe(1);
});

test("a new key is known as soon as a token is signed with it", async () => {
  expect(await subjectOf()).toBe(ada);
  clock.advance(1000);
  await provider.publish("two");
  expect(await subjectOf("two")).toBe(ada);
  expect(pauses).toEqual([]);
});

test("a new key is waited for where the keys were asked for a moment ago", async () => {
  expect(await subjectOf()).toBe(ada);
  clock.advance(400);
  await provider.publish("one", "two");
  const waiting = Promise.all([
    subjectOf("two"),
    subjectOf("two"),
    expect(subjectOf("junk")).rejects.toMatchObject(invalid),
  ]);
  await eventually("they wait", () => pauses.length > 0);
  expect(pauses.map(({ ms }) => ms)).toEqual([600]);
  // Others do not wait with them.
  expect(await subjectOf()).toBe(ada);
  endPauses();
  expect((await waiting).slice(0, 2)).toEqual([ada, ada]);
  expect(provider.fetches()).toBe(2);
});

test("keys that nobody has cannot make a flood of questions", async () => {
  expect(await subjectOf()).toBe(ada);
  clock.advance(1000);
  const sendJunk = async () => {
    const asked = Array.from({ length: 50 }, (_, n) => subjectOf(`junk ${n % 5}`).catch((thrown: unknown) => thrown));
    let answers: unknown[] | undefined;
    Promise.all(asked).then((all) => {
      answers = all;
    });
    await eventually("all are answered", () => {
      endPauses();
      return answers;
    });
    for (const answer of answers!) expect(answer).toMatchObject(invalid);
  };
  await sendJunk();
  await sendJunk();
  // One question a second, however many ask, and many are answered by each.
  expect(provider.fetches()).toBeLessThanOrEqual(1 + clock.monotonic() / 1000);
  expect(provider.fetches()).toBeLessThan(20);
});

test("only so many wait for keys at a time", async () => {
  provider.answerWith(() => {});
  const texts = await Promise.all(Array.from({ length: 1100 }, (_, jti) => provider.token({ jti })));
  const refusals: unknown[] = [];
  const asked = texts.map((text) => authenticator.authenticate(text).catch((thrown) => refusals.push(thrown)));
  await eventually("those are refused who are too many", () => refusals.length === 100, 3000);
  await provider.close();
  await Promise.all(asked);
  expect(refusals).toHaveLength(1100);
  for (const refusal of refusals) expect(refusal).toMatchObject(unavailable);
  provider = await createTestIdentityProvider(clock);
});

test("a provider that fails is asked again after a second, not by every token", async () => {
  provider.answerWith(broken);
  await expect(subjectOf()).rejects.toMatchObject(unavailable);
  await expect(subjectOf()).rejects.toMatchObject({ ...unavailable, retryAfterMs: 2000 });
  expect(provider.fetches()).toBe(1);
  provider.answerWith(undefined);
  clock.advance(1000);
  expect(await subjectOf()).toBe(ada);
});

test("known keys hold for an hour of the provider's absence, and no longer", async () => {
  expect(await subjectOf()).toBe(ada);
  provider.answerWith(broken);
  clock.advance(11 * MINUTE_MS);
  expect(await subjectOf()).toBe(ada);
  // A key that is not among them may be a new one.
  clock.advance(2000);
  await expect(subjectOf("two")).rejects.toMatchObject(unavailable);
  clock.advance(48 * MINUTE_MS);
  expect(await subjectOf()).toBe(ada);
  clock.advance(2 * MINUTE_MS);
  await expect(subjectOf()).rejects.toMatchObject(unavailable);
  provider.answerWith(undefined);
  clock.advance(1000);
  expect(await subjectOf()).toBe(ada);
});

test("nobody waits for a provider that is known to be away", async () => {
  expect(await subjectOf()).toBe(ada);
  provider.answerWith(broken);
  clock.advance(11 * MINUTE_MS);
  expect(await subjectOf()).toBe(ada);
  clock.advance(2000);
  provider.answerWith(() => {});
  expect(await subjectOf()).toBe(ada);
  expect(await subjectOf()).toBe(ada);
  await eventually("it is asked once more", () => provider.fetches() === 3);
});

test("a withdrawn key counts no more once the keys are ten minutes old", async () => {
  expect(await subjectOf()).toBe(ada);
  await provider.publish("two");
  clock.advance(10 * MINUTE_MS);
  await expect(subjectOf()).rejects.toMatchObject(invalid);
});
