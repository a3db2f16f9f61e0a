import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../../test/support/eventually.ts";
import { createIdGenerator } from "../../core/ids.ts";
import { createAdminKey, ensureAdminKey } from "./admin-key.ts";
import { createTenancyFixture, type TenancyFixture } from "./test-fixture.ts";

let fixture: TenancyFixture;
beforeAll(async () => {
  fixture = await createTenancyFixture();
});
afterAll(() => fixture.close());

const invalid = { code: "UNAUTHENTICATED", reason: "CREDENTIALS_INVALID" };

test("a key opens its namespace with its roles, and only its hash is stored", async () => {
  const namespace = await fixture.createNamespace();
  const { secret, keyId, principal } = await fixture.createKey(namespace, "viewer", "worker");
  expect(principal).toMatchObject({ id: `key:${keyId}`, kind: "API_KEY", home: namespace });
  expect([...principal.grants.keys()]).toEqual([namespace]);
  expect(principal.grants.get(namespace)?.has("tasks.lease")).toBe(true);
  const { rows } = await fixture.database.query<{ stored: string }>(
    "SELECT api_keys::text AS stored FROM api_keys WHERE id = $1",
    [keyId],
  );
  expect(rows[0]!.stored).toContain(keyId);
  expect(rows[0]!.stored).not.toContain(secret.slice(18, 61));
  const { services } = fixture.tenancy;
  const listed = await services.apiKeys.list({ namespace, pageSize: 10 });
  expect(JSON.stringify(listed)).not.toContain(secret.slice(18, 61));
});

test("junk is refused without a query, and a wrong secret in the same words", async () => {
  const { authenticator } = fixture.tenancy;
  const { secret } = await fixture.createKey(await fixture.createNamespace(), "viewer");
  const before = fixture.queries();
  const flipped = `${secret.slice(0, 30)}${secret[30] === "A" ? "B" : "A"}${secret.slice(31)}`;
  for (const junk of ["tarl_", "tarl_junk", flipped, `${secret}x`, "a.b.c", "Z".repeat(10_000)]) {
    expect(() => authenticator.peek(`Bearer ${junk}`)).toThrow();
    await expect(authenticator.authenticate(`Bearer ${junk}`)).rejects.toMatchObject(invalid);
  }
  expect(fixture.queries()).toBe(before);
  await expect(authenticator.authenticate(`Basic ${secret}`)).rejects.toMatchObject(invalid);
  await expect(authenticator.authenticate(undefined)).rejects.toMatchObject({ reason: "CREDENTIALS_MISSING" });
});

test("a known key is answered without a query for five seconds at most", async () => {
  const { authenticator } = fixture.tenancy;
  const { secret } = await fixture.createKey(await fixture.createNamespace(), "viewer");
  const before = fixture.queries();
  expect(authenticator.peek(`Bearer ${secret}`)).toBe(await authenticator.authenticate(`bearer ${secret}`));
  expect(fixture.queries()).toBe(before);
  fixture.clock.advance(5000);
  expect(authenticator.peek(`Bearer ${secret}`)).toBeUndefined();
});

test("rotation keeps the old secret for its grace and not longer", async () => {
  const { apiKeys } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const { secret: first, keyId } = await fixture.createKey(namespace, "viewer");
  const { secret: second } = await apiKeys.rotate({ namespace, keyId, graceMs: 60_000 }, fixture.admin);
  await expect(fixture.principalOf(first)).resolves.toMatchObject({ id: `key:${keyId}` });
  await expect(fixture.principalOf(second)).resolves.toMatchObject({ id: `key:${keyId}` });
  fixture.clock.advance(60_000);
  await expect(fixture.principalOf(first)).rejects.toMatchObject(invalid);
  const { secret: third } = await apiKeys.rotate({ namespace, keyId, graceMs: 0 }, fixture.admin);
  await expect(fixture.principalOf(second)).rejects.toMatchObject(invalid);
  await expect(fixture.principalOf(third)).resolves.toBeDefined();
});

test("a key ends at its expiry, also while it is remembered", async () => {
  const { apiKeys } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const expiresAt = new Date(fixture.clock.now() + 1000).toISOString();
  const { secret, apiKey } = await apiKeys.create({ namespace, roles: ["viewer"], expiresAt }, fixture.admin);
  await fixture.principalOf(secret);
  fixture.clock.advance(1000);
  expect(() => fixture.tenancy.authenticator.peek(`Bearer ${secret}`)).toThrow(
    expect.objectContaining({ reason: "CREDENTIALS_EXPIRED" }),
  );
  expect(await apiKeys.get({ namespace, keyId: apiKey.keyId })).toMatchObject({ state: "EXPIRED" });
  await expect(apiKeys.create({ namespace, roles: ["viewer"], expiresAt }, fixture.admin)).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    details: { fields: [{ field: "expiresAt" }] },
  });
});

test("revocation is seen at once, and ends the key's bindings elsewhere", async () => {
  const { apiKeys, roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const other = await fixture.createNamespace();
  const { secret, keyId } = await fixture.createKey(namespace, "viewer");
  await roles.bind({ namespace: other, principalId: `key:${keyId}`, role: "viewer" }, fixture.admin);
  await fixture.principalOf(secret);
  expect(await apiKeys.revoke({ namespace, keyId })).toMatchObject({ state: "REVOKED" });
  await expect(fixture.principalOf(secret)).rejects.toMatchObject(invalid);
  expect((await roles.listBindings({ namespace: other, pageSize: 10 })).roleBindings).toEqual([]);
  await expect(apiKeys.rotate({ namespace, keyId, graceMs: 0 }, fixture.admin)).rejects.toMatchObject({
    reason: "API_KEY_REVOKED",
  });
});

test("nobody makes, rotates or takes over a key that may do more than they", async () => {
  const { apiKeys, roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const elsewhere = await fixture.createNamespace();
  await roles.create({ namespace, name: "keeper", permissions: ["keys.manage", "keys.read"] }, fixture.admin);
  const { principal: keeper } = await fixture.createKey(namespace, "keeper");
  const escalation = { code: "PERMISSION_DENIED", reason: "PERMISSION_ESCALATION" };
  for (const role of ["admin", "operator", "viewer"]) {
    await expect(apiKeys.create({ namespace, roles: [role] }, keeper)).rejects.toMatchObject(escalation);
  }
  await expect(apiKeys.create({ namespace, roles: ["keeper"] }, keeper)).resolves.toBeDefined();

  const { keyId: strong } = await fixture.createKey(namespace, "admin");
  await expect(apiKeys.rotate({ namespace, keyId: strong, graceMs: 0 }, keeper)).rejects.toMatchObject(escalation);
  // Weak at home, strong elsewhere: its secret would open the other namespace.
  const { keyId: lent } = await fixture.createKey(namespace, "keeper");
  await roles.bind({ namespace: elsewhere, principalId: `key:${lent}`, role: "operator" }, fixture.admin);
  await expect(apiKeys.rotate({ namespace, keyId: lent, graceMs: 0 }, keeper)).rejects.toMatchObject(escalation);
  // The key of another namespace is not there.
  await expect(apiKeys.rotate({ namespace: elsewhere, keyId: lent, graceMs: 0 }, fixture.admin)).rejects.toMatchObject({
    code: "NOT_FOUND",
  });
});

test("use is noted beside the request, at most once a minute", async () => {
  const { apiKeys } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const { secret, keyId } = await fixture.createKey(namespace, "viewer");
  const lastUsed = async () => (await apiKeys.get({ namespace, keyId })).lastUsedAt;
  const first = await eventually("the first use is noted", lastUsed);
  fixture.clock.advance(59_000);
  await fixture.principalOf(secret);
  expect(await lastUsed()).toBe(first);
  fixture.clock.advance(1000);
  await fixture.principalOf(secret);
  await eventually("the next use is noted", async () => (await lastUsed()) !== first);
});

test("there is one admin key, and the way back in ends it", async () => {
  const options = { database: fixture.database, clock: fixture.clock, ids: createIdGenerator(fixture.clock) };
  expect(await ensureAdminKey(options)).toBeUndefined();
  const replacement = await createAdminKey(options);
  const principal = await fixture.principalOf(replacement);
  expect(principal).toMatchObject({ home: "*" });
  expect(principal.grants.get("*")?.has("*")).toBe(true);
  fixture.clock.advance(5000);
  await expect(fixture.principalOf(fixture.adminKey)).rejects.toMatchObject(invalid);
});
