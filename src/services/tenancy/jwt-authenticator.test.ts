import { createHmac } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { silentLogger } from "../../core/logger.ts";
import { createJwtAuthenticator } from "./jwt-authenticator.ts";
import { createTenancyFixture, type TenancyFixture } from "./test-fixture.ts";

const issuer = "https://id.example";
const audience = "tarl";
let fixture: TenancyFixture;
let server: Server;
let fetches = 0;
let keys: Awaited<ReturnType<typeof generateKeyPair>>;

beforeAll(async () => {
  keys = await generateKeyPair("RS256", { extractable: true });
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: "one", alg: "RS256", use: "sig" };
  server = createServer((_request, response) => {
    fetches += 1;
    response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  fixture = await createTenancyFixture({
    jwtIssuers: [{ issuer, audience, jwksUrl: `http://127.0.0.1:${port}/keys` }],
  });
});
afterAll(async () => {
  await fixture.close();
  await new Promise((resolve) => server.close(resolve));
});

function token(claims: Record<string, unknown> = {}, options: { key?: CryptoKey; lifeSeconds?: number } = {}) {
  const now = Math.floor(fixture.clock.now() / 1000);
  return new SignJWT({ sub: "ada", name: "Ada", ...claims })
    .setProtectedHeader({ alg: "RS256", kid: "one" })
    .setIssuer((claims.iss as string) ?? issuer)
    .setAudience((claims.aud as string) ?? audience)
    .setIssuedAt(now)
    .setExpirationTime(now + (options.lifeSeconds ?? 600))
    .sign(options.key ?? keys.privateKey);
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

test("a token makes a principal whose roles come from bindings alone", async () => {
  const namespace = await fixture.createNamespace("STRICT");
  const { roles } = fixture.tenancy.services;
  const text = await token({ roles: ["admin"], permissions: ["*"] });
  expect(await fixture.principalOf(text)).toMatchObject({ id: `jwt:${issuer}#ada`, kind: "JWT", displayName: "Ada" });
  expect((await fixture.principalOf(text)).grants.size).toBe(0);
  await roles.bind({ namespace, principalId: `jwt:${issuer}#ada`, role: "viewer" }, fixture.admin);
  expect((await fixture.principalOf(text)).grants.get(namespace)?.has("tasks.read")).toBe(true);
});

test("the groups that a token names bring their roles, until it names them no more", async () => {
  const namespace = await fixture.createNamespace();
  const { roles } = fixture.tenancy.services;
  const group = (name: string) => `jwt-group:${issuer}#${name}`;
  const both = await token({ sub: "grace", groups: ["ml ops", "ml ops", "readers", 5, "grün", "x".repeat(600)] });
  const left = await token({ sub: "grace", groups: "readers" });
  const other = await token({ sub: "alan", groups: { ml: true } });
  for (const text of [both, left, other]) expect((await fixture.principalOf(text)).grants.size).toBe(0);

  await roles.bind({ namespace, principalId: group("readers"), role: "viewer" }, fixture.admin);
  const { bindingId } = await roles.bindInGateway({ principalId: group("ml ops"), role: "operator" }, fixture.admin);
  await roles.bind({ namespace, principalId: `jwt:${issuer}#grace`, role: "worker" }, fixture.admin);
  const principal = await fixture.principalOf(both);
  expect(principal.id).toBe(`jwt:${issuer}#grace`);
  expect([...principal.grants.keys()].sort()).toEqual(["*", namespace].sort());
  expect([...principal.grants.get(namespace)!]).toEqual(expect.arrayContaining(["tasks.lease", "usage.read"]));
  expect(fixture.tenancy.authenticator.peek(`Bearer ${both}`)).toBe(principal);
  expect([...(await fixture.principalOf(left)).grants.keys()]).toEqual([namespace]);
  expect((await fixture.principalOf(other)).grants.size).toBe(0);

  await roles.unbindInGateway({ bindingId }, fixture.admin);
  expect([...(await fixture.principalOf(both)).grants.keys()]).toEqual([namespace]);
});

test("a subject cannot be named like a group, nor a group like a subject", async () => {
  const { roles } = fixture.tenancy.services;
  await roles.bindInGateway({ principalId: `jwt-group:${issuer}#root`, role: "admin" }, fixture.admin);
  await roles.bindInGateway({ principalId: `jwt:${issuer}#root`, role: "viewer" }, fixture.admin);
  const subject = await fixture.principalOf(await token({ sub: "root" }));
  expect(subject.grants.get("*")?.has("*")).toBe(false);
  const member = await fixture.principalOf(await token({ sub: "somebody", groups: ["root"] }));
  expect([...member.grants.get("*")!]).toEqual(["*"]);
});

test("a verified token is known without asking anybody, until it ends", async () => {
  const text = await token({ sub: "cached" }, { lifeSeconds: 40 });
  const principal = await fixture.principalOf(text);
  const before = { queries: fixture.queries(), fetches };
  expect(fixture.tenancy.authenticator.peek(`Bearer ${text}`)).toBe(principal);
  expect({ queries: fixture.queries(), fetches }).toEqual(before);
  // 30 seconds of tolerance for clocks that differ, and no more.
  fixture.clock.advance(71_000);
  await expect(fixture.principalOf(text)).rejects.toMatchObject({ reason: "CREDENTIALS_EXPIRED" });
});

test("hostile tokens are refused", async () => {
  const now = Math.floor(fixture.clock.now() / 1000);
  const claims = { iss: issuer, aud: audience, sub: "ada", exp: now + 600 };
  const good = await token();
  const [header, , signature] = good.split(".");
  const publicPem = await exportSPKI(keys.publicKey);
  const confused = `${encode({ alg: "HS256", kid: "one" })}.${encode(claims)}`;
  const stranger = await generateKeyPair("RS256");
  const hostile = {
    "alg none": `${encode({ alg: "none" })}.${encode(claims)}.`,
    "HS256 with the public key": `${confused}.${createHmac("sha256", publicPem).update(confused).digest("base64url")}`,
    "wrong audience": await token({ aud: "somebody-else" }),
    "unknown issuer": await token({ iss: "https://evil.example" }),
    "foreign signature": await token({}, { key: stranger.privateKey }),
    "changed claims": `${header}.${encode({ ...claims, sub: "root" })}.${signature}`,
    "no subject": await token({ sub: "" }),
    "control characters in the subject": await token({ sub: "a\nb" }),
    "no structure": "a.b.c",
  };
  for (const [name, text] of Object.entries(hostile)) {
    await expect(fixture.principalOf(text), name).rejects.toMatchObject({ reason: "CREDENTIALS_INVALID" });
  }
});

test("shared-secret algorithms cannot even be configured", () => {
  const issuers = [{ issuer, audience, jwksUrl: "http://127.0.0.1:1/keys", algorithms: ["HS256"] }];
  const { database, clock } = fixture;
  expect(() =>
    createJwtAuthenticator({ issuers, database, clock, logger: silentLogger, maxAgeMs: 1, maxEntries: 1 }),
  ).toThrow(/HS256/);
});

test("a provider that cannot be reached is not the token's fault", async () => {
  const issuers = [{ issuer, audience, jwksUrl: "http://127.0.0.1:1/keys" }];
  const { database, clock } = fixture;
  const authenticator = createJwtAuthenticator({
    issuers,
    database,
    clock,
    logger: silentLogger,
    maxAgeMs: 1,
    maxEntries: 1,
  });
  await expect(authenticator.authenticate(await token())).rejects.toMatchObject({
    code: "UNAVAILABLE",
    reason: "IDENTITY_PROVIDER_UNAVAILABLE",
  });
});
