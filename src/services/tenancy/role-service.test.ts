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
  await expect(roles.delete({ namespace, role: "producer" })).rejects.toMatchObject({ reason: "ROLE_IN_USE" });
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

test("SHARED namespaces are shared by binding, once", async () => {
  const { roles } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace("SHARED");
  const { keyId, secret } = await fixture.createKey(await fixture.createNamespace("SHARED"), "viewer");
  const binding = { namespace, principalId: `key:${keyId}`, role: "worker" };
  const { bindingId } = await roles.bind(binding, fixture.admin);
  expect((await fixture.principalOf(secret)).grants.has(namespace)).toBe(true);
  await expect(roles.bind(binding, fixture.admin)).rejects.toMatchObject({ reason: "ROLE_BINDING_EXISTS" });
  await roles.unbind({ namespace, bindingId });
  expect((await fixture.principalOf(secret)).grants.has(namespace)).toBe(false);
  await expect(roles.unbind({ namespace, bindingId })).rejects.toMatchObject({ code: "NOT_FOUND" });
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
  await roles.unbind({ namespace: taker, bindingId });
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
