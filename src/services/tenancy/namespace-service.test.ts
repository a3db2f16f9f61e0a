import { afterAll, beforeAll, expect, test } from "vitest";
import { createTenancyFixture, type TenancyFixture } from "./test-fixture.ts";

let fixture: TenancyFixture;
const held = new Map<string, number>();
beforeAll(async () => {
  fixture = await createTenancyFixture({
    emptinessChecks: [async (_transaction, name) => (held.get(name) ? [`${held.get(name)} tasks`] : [])],
    purgers: [async (_transaction, name) => void held.delete(name)],
    usageSources: [() => ({ queueDepth: 7 }), async () => ({ storageBytes: 3 * 1024 * 1024 })],
  });
});
afterAll(() => fixture.close());

test("default is there, and stays", async () => {
  const { namespaces } = fixture.tenancy.services;
  expect(await namespaces.get("default")).toMatchObject({ name: "default", revision: 1 });
  await expect(namespaces.delete({ namespace: "default", force: true })).rejects.toMatchObject({
    reason: "DEFAULT_NAMESPACE",
  });
});

test("an update changes what it names, and only from the revision it names", async () => {
  const { namespaces } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const updated = await namespaces.update(
    { namespace, description: "new", quotas: { maxQueueDepth: 5 }, revision: 1 },
    fixture.admin,
  );
  expect(updated).toMatchObject({
    displayName: namespace,
    description: "new",
    quotas: { maxQueueDepth: 5 },
    revision: 2,
  });
  await expect(namespaces.update({ namespace, description: "old", revision: 1 }, fixture.admin)).rejects.toMatchObject({
    code: "ABORTED",
    reason: "REVISION_MISMATCH",
  });
  await expect(namespaces.create({ name: namespace })).rejects.toMatchObject({ reason: "NAMESPACE_EXISTS" });
});

test("a change reaches the directory at once", async () => {
  const { directory, services } = fixture.tenancy;
  expect(await directory.get("later")).toBeUndefined();
  await services.namespaces.create({ name: "later" });
  expect(await directory.get("later")).toMatchObject({ isolation: "SHARED" });
  await services.namespaces.update({ namespace: "later", isolation: "NONE" }, fixture.admin);
  expect(directory.peek("later")).toBeUndefined();
  expect(await directory.get("later")).toMatchObject({ isolation: "NONE" });
});

test("a tenant's administrator does not raise its own quotas", async () => {
  const { namespaces } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const { principal } = await fixture.createKey(namespace, "admin");
  await expect(namespaces.update({ namespace, quotas: {} }, principal)).rejects.toMatchObject({
    code: "PERMISSION_DENIED",
  });
  await expect(namespaces.update({ namespace, description: "mine" }, principal)).resolves.toBeDefined();
});

test("a list holds what the caller may read, page by page", async () => {
  const { namespaces } = fixture.tenancy.services;
  const mine = await fixture.createNamespace();
  await fixture.createNamespace();
  const open = await fixture.createNamespace("NONE");
  const { principal } = await fixture.createKey(mine, "viewer");
  const first = await namespaces.list({ pageSize: 1 }, principal);
  const names = [...first.namespaces];
  for (let token = first.nextPageToken; token !== undefined; ) {
    const page = await namespaces.list({ pageSize: 1, pageToken: token }, principal);
    names.push(...page.namespaces);
    token = page.nextPageToken;
  }
  expect(names.map(({ name }) => name)).toEqual(expect.arrayContaining([mine, open]));
  expect(names.every(({ name, isolation }) => name === mine || isolation === "NONE")).toBe(true);
  const all = await namespaces.list({ pageSize: 1000 }, fixture.admin);
  expect(all.namespaces.length).toBeGreaterThan(names.length);
});

test("a namespace goes when it is empty, or by force with all that is in it", async () => {
  const { namespaces } = fixture.tenancy.services;
  const namespace = await fixture.createNamespace();
  const other = await fixture.createNamespace();
  const { secret, keyId } = await fixture.createKey(namespace, "admin");
  const lent = { namespace: other, principalId: `key:${keyId}`, role: "viewer" };
  await fixture.tenancy.services.roles.bind(lent, fixture.admin);
  held.set(namespace, 12);
  await expect(namespaces.delete({ namespace, force: false })).rejects.toMatchObject({
    reason: "NAMESPACE_NOT_EMPTY",
    message: expect.stringContaining("12 tasks"),
  });
  await expect(fixture.principalOf(secret)).resolves.toBeDefined();
  await namespaces.delete({ namespace, force: true });
  expect(held.has(namespace)).toBe(false);
  await expect(fixture.principalOf(secret)).rejects.toMatchObject({ reason: "CREDENTIALS_INVALID" });
  await expect(namespaces.get(namespace)).rejects.toMatchObject({ code: "NOT_FOUND" });
  const { roleBindings } = await fixture.tenancy.services.roles.listBindings({ namespace: other, pageSize: 10 });
  expect(roleBindings).toEqual([]);
});

test("usage puts each quota beside what is used of it", async () => {
  const { namespaces } = fixture.tenancy.services;
  const quotas = { maxQueueDepth: 10 };
  expect(await namespaces.usage({ name: "default", isolation: "SHARED", quotas })).toMatchObject({
    queueDepth: { used: 7, limit: 10 },
    storageMb: { used: 3 },
    workflows: { used: 0 },
  });
});
