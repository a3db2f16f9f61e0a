import { afterAll, beforeAll, expect, test } from "vitest";
import { createTenancyFixture, type TenancyFixture } from "./test-fixture.ts";

let fixture: TenancyFixture;
beforeAll(async () => {
  fixture = await createTenancyFixture();
});
afterAll(() => fixture.close());

test("a custom role gives what it says, and a change of it is seen at once", async () => {
  const { roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  await roles.create({ namespace, name: "producer", permissions: ["tasks.enqueue"] }, fixture.admin);
  const { secret, principal } = await fixture.createKey(namespace, "producer");
  expect([...principal.grants.get(namespace)!]).toEqual(["tasks.enqueue"]);
  await roles.update({ namespace, role: "producer", permissions: ["tasks.read"] }, fixture.admin);
  expect([...(await fixture.principalOf(secret)).grants.get(namespace)!]).toEqual(["tasks.read"]);
  await expect(roles.delete({ namespace, role: "producer" }, fixture.admin)).rejects.toMatchObject({
    reason: "ROLE_IN_USE",
  });
});

test("built-in roles stay, and their names are taken", async () => {
  const { roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const permissions = ["tasks.read"];
  await expect(roles.create({ namespace, name: "admin", permissions }, fixture.admin)).rejects.toMatchObject({
    reason: "ROLE_EXISTS",
  });
  await expect(roles.update({ namespace, role: "viewer", permissions }, fixture.admin)).rejects.toMatchObject({
    reason: "ROLE_BUILT_IN",
  });
  const { roles: all } = await roles.list(namespace);
  expect(all.map(({ name }) => name)).toEqual(["admin", "operator", "worker", "viewer"]);
  const viewer = all.find(({ name }) => name === "viewer")!;
  expect(viewer.permissions).not.toContain("tasks.readPayload");
  expect(viewer.permissions).not.toContain("keys.read");
});

test("roles cannot be used to gain what one does not hold", async () => {
  const { roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const mine = ["roles.manage", "roles.read", "tasks.read"];
  await roles.create({ namespace, name: "manager", permissions: mine }, fixture.admin);
  const { principal, keyId } = await fixture.createKey(namespace, "manager");
  const self = `key:${keyId}`;
  const escalation = { code: "PERMISSION_DENIED", reason: "PERMISSION_ESCALATION" };
  await expect(roles.bind({ namespace, principalId: self, role: "admin" }, principal)).rejects.toMatchObject(
    escalation,
  );
  await expect(
    roles.update({ namespace, role: "manager", permissions: [...mine, "tasks.purge"] }, principal),
  ).rejects.toMatchObject(escalation);
  await expect(
    roles.create({ namespace, name: "purger", permissions: ["tasks.purge"] }, principal),
  ).rejects.toMatchObject(escalation);
  await expect(
    roles.update({ namespace, role: "manager", permissions: mine.slice(0, 2) }, principal),
  ).resolves.toBeDefined();
});

test("nobody takes away what they do not hold, and a namespace's admin takes away anything in it", async () => {
  const { roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const mine = ["roles.manage", "tasks.read"];
  await roles.create({ namespace, name: "manager", permissions: mine }, fixture.admin);
  await roles.create({ namespace, name: "purger", permissions: ["tasks.read", "tasks.purge"] }, fixture.admin);
  const { principal: manager, keyId } = await fixture.createKey(namespace, "manager");
  const { principal: admin } = await fixture.createKey(namespace, "admin");
  const principalId = "jwt:https://id.example#ada";
  const bind = (role: string) => roles.bind({ namespace, principalId, role }, fixture.admin);
  const escalation = {
    code: "PERMISSION_DENIED",
    reason: "PERMISSION_ESCALATION",
    message: expect.stringContaining("take away what you do not hold yourself"),
  };

  const strong = [await bind("admin"), await bind("purger")];
  for (const { bindingId } of strong) {
    await expect(roles.unbind({ namespace, bindingId }, manager)).rejects.toMatchObject(escalation);
    expect(await roles.unbind({ namespace, bindingId }, admin)).toEqual({ bindingId });
  }
  const lower = { namespace, role: "purger", permissions: ["tasks.read"] };
  await expect(roles.update(lower, manager)).rejects.toMatchObject(escalation);
  await expect(roles.delete({ namespace, role: "purger" }, manager)).rejects.toMatchObject(escalation);
  await expect(roles.update({ ...lower, permissions: ["tasks.purge"] }, manager)).resolves.toBeDefined();
  await expect(roles.delete({ namespace, role: "purger" }, admin)).resolves.toBeDefined();

  const [own] = (await roles.listBindings({ namespace, principalId: `key:${keyId}`, pageSize: 1 })).roleBindings;
  await expect(roles.unbind({ namespace, bindingId: own!.bindingId }, manager)).resolves.toBeDefined();
});

test("who manages keys ends any key of the namespace, also one that may do more", async () => {
  const { roles, apiKeys } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  await roles.create({ namespace, name: "keeper", permissions: ["keys.manage"] }, fixture.admin);
  const { principal: keeper } = await fixture.createKey(namespace, "keeper");
  const { keyId } = await fixture.createKey(namespace, "admin");
  await expect(apiKeys.rotate({ namespace, keyId, graceMs: 0 }, keeper)).rejects.toMatchObject({
    reason: "PERMISSION_ESCALATION",
  });
  expect(await apiKeys.revoke({ namespace, keyId })).toMatchObject({ state: "REVOKED" });
});

test("a role in the whole gateway holds in every namespace, and only who holds it there passes it on", async () => {
  const { roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace("STRICT");
  const home = await fixture.createNamespace();
  const { keyId, secret } = await fixture.createKey(home, "viewer");
  const { principal: local } = await fixture.createKey(namespace, "admin");
  const principalId = `key:${keyId}`;
  const operator = { principalId, role: "operator" };
  const escalation = { code: "PERMISSION_DENIED", reason: "PERMISSION_ESCALATION" };
  await expect(roles.bindInGateway(operator, local)).rejects.toMatchObject(escalation);
  const binding = await roles.bindInGateway(operator, fixture.admin);
  expect(binding).toMatchObject({ ...operator, createdBy: fixture.admin.id });
  expect(binding).not.toHaveProperty("namespace");
  expect((await fixture.principalOf(secret)).grants.get("*")?.has("tasks.purge")).toBe(true);
  await expect(roles.bindInGateway(operator, fixture.admin)).rejects.toMatchObject({ reason: "ROLE_BINDING_EXISTS" });

  const { bindingId } = binding;
  const found = await roles.listGatewayBindings({ principalId, pageSize: 10 });
  expect(found.roleBindings).toEqual([binding]);
  const ofNamespace = await roles.listBindings({ namespace, pageSize: 10 });
  expect(JSON.stringify(ofNamespace)).not.toContain(bindingId);
  await expect(roles.unbind({ namespace, bindingId }, fixture.admin)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(roles.unbindInGateway({ bindingId }, local)).rejects.toMatchObject(escalation);
  await roles.unbindInGateway({ bindingId }, fixture.admin);
  expect((await fixture.principalOf(secret)).grants.has("*")).toBe(false);
  await expect(roles.unbindInGateway({ bindingId }, fixture.admin)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("the binding that makes the admin key what it is is listed with the others, page by page", async () => {
  const { roles } = fixture.tenancy.services;
  for (const subject of ["a", "b"]) {
    await roles.bindInGateway({ principalId: `jwt:https://pages.example#${subject}`, role: "viewer" }, fixture.admin);
  }
  const seen: string[] = [];
  let pageToken: string | undefined;
  do {
    const page = await roles.listGatewayBindings({ pageSize: 1, pageToken });
    seen.push(...page.roleBindings.map(({ principalId }) => principalId));
    pageToken = page.nextPageToken;
  } while (pageToken);
  expect(seen[0]).toBe(fixture.admin.id);
  expect(seen.slice(-2)).toEqual(["jwt:https://pages.example#a", "jwt:https://pages.example#b"]);
  const { nextPageToken } = await roles.listGatewayBindings({ pageSize: 1 });
  const elsewhere = roles.listBindings({ namespace: "default", pageSize: 1, pageToken: nextPageToken });
  await expect(elsewhere).rejects.toMatchObject({ details: { fields: [{ field: "pageToken" }] } });
});

test("keys of STRICT namespaces get no role in the whole gateway", async () => {
  const { roles, namespaces } = fixture.tenancy.services;
  const home = await fixture.createNamespace("STRICT");
  const { keyId } = await fixture.createKey(home, "viewer");
  const request = { principalId: `key:${keyId}`, role: "viewer" };
  await expect(roles.bindInGateway(request, fixture.admin)).rejects.toMatchObject({ reason: "NAMESPACE_STRICT" });
  await namespaces.update({ namespace: home, isolation: "SHARED" }, fixture.admin);
  const { bindingId } = await roles.bindInGateway(request, fixture.admin);
  const close = () => namespaces.update({ namespace: home, isolation: "STRICT" }, fixture.admin);
  await expect(close()).rejects.toMatchObject({
    reason: "NAMESPACE_SHARED",
    message: expect.stringContaining(`key:${keyId} in the whole gateway`),
  });
  await roles.unbindInGateway({ bindingId }, fixture.admin);
  await expect(close()).resolves.toMatchObject({ isolation: "STRICT" });
});

test("SHARED namespaces are shared by binding, once", async () => {
  const { roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace("SHARED");
  const { keyId, secret } = await fixture.createKey(await fixture.createNamespace("SHARED"), "viewer");
  const binding = { namespace, principalId: `key:${keyId}`, role: "worker" };
  const { bindingId } = await roles.bind(binding, fixture.admin);
  expect((await fixture.principalOf(secret)).grants.has(namespace)).toBe(true);
  await expect(roles.bind(binding, fixture.admin)).rejects.toMatchObject({ reason: "ROLE_BINDING_EXISTS" });
  await roles.unbind({ namespace, bindingId }, fixture.admin);
  expect((await fixture.principalOf(secret)).grants.has(namespace)).toBe(false);
  await expect(roles.unbind({ namespace, bindingId }, fixture.admin)).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a STRICT namespace neither takes keys of others nor lends its own", async () => {
  const { roles } = fixture.tenancy.services;
  const strict = await fixture.createNamespace("STRICT");
  const shared = await fixture.createNamespace("SHARED");
  const { keyId: own } = await fixture.createKey(strict, "viewer");
  const { keyId: foreign } = await fixture.createKey(shared, "viewer");
  const refused = { code: "FAILED_PRECONDITION", reason: "NAMESPACE_STRICT" };
  await expect(
    roles.bind({ namespace: strict, principalId: `key:${foreign}`, role: "viewer" }, fixture.admin),
  ).rejects.toMatchObject(refused);
  const lending = roles.bind({ namespace: shared, principalId: `key:${own}`, role: "viewer" }, fixture.admin);
  await expect(lending).rejects.toMatchObject(refused);
  await expect(lending).rejects.toMatchObject({ message: expect.not.stringContaining(strict) });
  await expect(
    roles.bind({ namespace: strict, principalId: `key:${own}`, role: "worker" }, fixture.admin),
  ).resolves.toBeDefined();
  await expect(
    roles.bind({ namespace: strict, principalId: "key:000000000000", role: "viewer" }, fixture.admin),
  ).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a namespace becomes STRICT only when nothing of it is shared, either way", async () => {
  const { roles, namespaces } = fixture.tenancy.services;
  const lender = await fixture.createNamespace();
  const taker = await fixture.createNamespace();
  const { keyId } = await fixture.createKey(lender, "viewer");
  const principalId = `key:${keyId}`;
  const { bindingId } = await roles.bind({ namespace: taker, principalId, role: "viewer" }, fixture.admin);
  for (const namespace of [lender, taker]) {
    await expect(namespaces.update({ namespace, isolation: "STRICT" }, fixture.admin)).rejects.toMatchObject({
      reason: "NAMESPACE_SHARED",
      message: expect.stringContaining(`${principalId} in ${taker}`),
    });
  }
  await roles.unbind({ namespace: taker, bindingId }, fixture.admin);
  for (const namespace of [lender, taker]) {
    await expect(namespaces.update({ namespace, isolation: "STRICT" }, fixture.admin)).resolves.toBeDefined();
  }
});

test("bindings are listed page by page in the order of their making", async () => {
  const { roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  for (const subject of ["a", "b", "c"]) {
    await roles.bind({ namespace, principalId: `jwt:https://id.example#${subject}`, role: "viewer" }, fixture.admin);
  }
  const first = await roles.listBindings({ namespace, pageSize: 2 });
  const second = await roles.listBindings({ namespace, pageSize: 2, pageToken: first.nextPageToken });
  const subjects = [...first.roleBindings, ...second.roleBindings].map(({ principalId }) => principalId.at(-1));
  expect(subjects).toEqual(["a", "b", "c"]);
  expect(second.nextPageToken).toBeUndefined();
  await expect(roles.listBindings({ namespace, pageSize: 2, pageToken: "junk" })).rejects.toMatchObject({
    details: { fields: [{ field: "pageToken" }] },
  });
});
