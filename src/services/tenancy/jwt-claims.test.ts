import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLogger } from "../../core/logger.ts";
import { createJwtAuthenticator } from "./jwt-authenticator.ts";
import { createTenancyFixture, createTestClock, type TenancyFixture } from "./test-fixture.ts";
import { createTestIdentityProvider, type TestIdentityProvider } from "./test-identity-provider.ts";

let provider: TestIdentityProvider;
let fixture: TenancyFixture;

beforeAll(async () => {
  provider = await createTestIdentityProvider(createTestClock());
  fixture = await createTenancyFixture({ jwtIssuers: [provider] });
});
afterAll(async () => {
  await fixture.close();
  await provider.close();
});

const bearing = async (claims: Record<string, unknown> | string) => fixture.principalOf(await provider.token(claims));

test.each([
  ["exp", 1e300],
  ["exp", 253_402_300_800],
  ["exp", "9999999999"],
  ["exp", null],
  ["exp", [4_000_000_000]],
  ["exp", true],
  ["nbf", -1e300],
  ["nbf", "1"],
  ["nbf", {}],
  ["iat", 1e300],
  ["iat", -1],
  ["iat", "yesterday"],
  ["aud", 5],
  ["aud", { tarl: true }],
  ["aud", ["tarl", 5]],
  ["aud", null],
  ["iss", ["https://id.example"]],
  ["iss", { toString: "https://id.example" }],
  ["iss", null],
  ["sub", 123],
  ["sub", 0],
  ["sub", true],
  ["sub", {}],
  ["sub", ["alice"]],
  ["sub", [["alice"]]],
  ["sub", null],
  ["sub", ""],
  ["sub", "a\nb"],
  ["sub", "a\u0000"],
  ["sub", "a\u007f"],
  ["sub", "zoë"],
  ["sub", "x".repeat(256)],
])("a token whose %s is %j is refused", async (claim, value) => {
  await expect(bearing({ [claim]: value })).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
    reason: "CREDENTIALS_INVALID",
  });
});

test.each(["[]", '"ada"', "null", "5", "{", ""])("claims that are %j are refused", async (text) => {
  await expect(bearing(text)).rejects.toMatchObject({ reason: "CREDENTIALS_INVALID" });
});

test("a number that JSON can say and a double cannot hold is no time", async () => {
  const text = '{"iss":"https://id.example","aud":"tarl","sub":"ada","exp":1e400}';
  await expect(bearing(text)).rejects.toMatchObject({ reason: "CREDENTIALS_INVALID" });
});

test("what is unusual and right is accepted", async () => {
  const nowSeconds = fixture.clock.now() / 1000;
  const odd = { sub: "a|b#c d", aud: ["other", "tarl"], exp: nowSeconds + 60.5, nbf: 0, iat: nowSeconds + 20.25 };
  expect(await bearing(odd)).toMatchObject({
    id: "jwt:https://id.example#a|b#c d",
    expiresAtMs: fixture.clock.now() + 60_500,
  });
  expect((await bearing({ exp: 253_402_300_799 })).expiresAtMs).toBe(Date.UTC(9999, 11, 31, 23, 59, 59));
});

test("an issuer whose principals could be another's is not accepted", () => {
  const { database, clock } = fixture;
  for (const issuer of ["https://id.example#a", "https://id example", ""]) {
    const options = { issuers: [{ ...provider, issuer }], database, clock, logger: silentLogger };
    expect(() => createJwtAuthenticator({ ...options, maxAgeMs: 1, maxEntries: 1 })).toThrow(/cannot be an issuer/);
  }
});

test("names are made fit to be shown, and odd ones passed over", async () => {
  expect(await bearing({ name: { a: 1 }, preferred_username: ["x"], email: "ada@id.example" })).toMatchObject({
    displayName: "ada@id.example",
  });
  expect(await bearing({ name: "\u0000\n" })).toMatchObject({ displayName: "ada" });
  const { displayName } = await bearing({ name: `${"x".repeat(199)}😀` });
  expect(displayName.isWellFormed()).toBe(true);
});

test.each([5, null, { ml: true }, [["ml"]], [null, { a: "ml" }, "", "grün", "a\nb", "x".repeat(256)]])(
  "groups that are %j are none",
  async (groups) => {
    expect(await bearing({ groups })).toMatchObject({ id: "jwt:https://id.example#ada", groups: [] });
  },
);

test("a principal knows the groups of its token", async () => {
  expect(await bearing({ groups: ["ml", "ops", "ml", 5] })).toMatchObject({
    groups: ["jwt-group:https://id.example#ml", "jwt-group:https://id.example#ops"],
  });
});
