import { afterAll, beforeAll, expect, test } from "vitest";
import { UpdateFeatureGroupRequest } from "./group-model.ts";
import { holdsDefinitions, purgeDefinitions } from "./namespace-content.ts";
import { CLICKS, createDefinitionsFixture, KEYS, PRINCIPAL } from "./test-fixture.ts";

let fixture: Awaited<ReturnType<typeof createDefinitionsFixture>>;
beforeAll(async () => {
  fixture = await createDefinitionsFixture();
  await fixture.isolate("team", "SHARED");
  await fixture.isolate("other", "SHARED");
});
afterAll(() => fixture.stop());

const VIEWS = { name: "views", type: "INT64" };
const page = (group: string) => ({ namespace: "team", group, pageSize: 2 });

test("a group has what it was made with", async () => {
  const made = await fixture.group("team", "whole", {
    description: "All of it.",
    owner: "ml",
    tags: ["a", "b", "a"],
    ttlMs: 1000,
    features: [{ ...CLICKS, rules: { min: 0, allowedValues: [1, 2] } }],
  });
  expect(made).toMatchObject({
    namespace: "team",
    group: "whole",
    description: "All of it.",
    tags: ["a", "b"],
    currentVersion: 1,
    revision: 1,
    schema: {
      version: 1,
      state: "CURRENT",
      dataSince: 1,
      ttlMs: 1000,
      online: true,
      validation: "STRICT",
      features: [{ name: "clicks", type: "INT64", rules: { min: 0, allowedValues: [1, 2] } }],
      createdBy: "key:test",
    },
  });
  expect(made).not.toHaveProperty("stagedVersion");
  const { featureGroups } = fixture.services;
  expect(await featureGroups.get({ namespace: "team", group: "whole" })).toEqual(made);
  await expect(fixture.group("team", "whole")).rejects.toMatchObject({ reason: "FEATURE_GROUP_EXISTS" });
  await expect(featureGroups.get({ namespace: "other", group: "whole" })).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a schema that contradicts itself is refused by its fields, and leaves nothing", async () => {
  const features = [CLICKS, VIEWS, { name: "name", type: "INT64", rules: { pattern: "a" } }];
  await expect(fixture.group("team", "bad", { features })).rejects.toMatchObject({
    code: "INVALID_ARGUMENT",
    details: { fields: [{ field: "features[2].rules.pattern" }] },
  });
  await expect(fixture.services.featureGroups.get({ namespace: "team", group: "bad" })).rejects.toThrow();
});

test("a compatible version shares the rows and becomes current; the same again is no other", async () => {
  await fixture.group("team", "grows");
  const { version, featureGroup } = await fixture.version("team", "grows", { features: [VIEWS, CLICKS], ttlMs: 5 });
  expect(version).toMatchObject({ version: 2, state: "CURRENT", dataSince: 1, ttlMs: 5 });
  expect(featureGroup).toMatchObject({ currentVersion: 2, revision: 2, schema: { version: 2 } });
  const again = await fixture.version("team", "grows", { features: [VIEWS, CLICKS], ttlMs: 5 });
  expect(again.version).toEqual(version);
  expect(again.featureGroup.revision).toBe(2);
  const resolved = await fixture.catalog.version("team", "grows", undefined);
  expect(resolved.dataset).toMatchObject({ firstVersion: 1, features: [CLICKS, VIEWS] });
  expect(resolved.places).toEqual([1, 0]);
});

test("an incompatible version is refused with every reason, unless it is asked for", async () => {
  await fixture.group("team", "breaks", { features: [CLICKS, VIEWS] });
  const entityKeys = [{ name: "user_id", type: "STRING" }];
  const features = [{ ...CLICKS, type: "DOUBLE" }];
  const refused = fixture.version("team", "breaks", { entityKeys, features });
  await expect(refused).rejects.toMatchObject({ code: "FAILED_PRECONDITION", reason: "SCHEMA_INCOMPATIBLE" });
  for (const part of ["entity keys", '"clicks" is INT64', '"views" is left out', "allowIncompatible"]) {
    await expect(refused).rejects.toThrow(part);
  }
  const { version } = await fixture.version("team", "breaks", { entityKeys, features, allowIncompatible: true });
  expect(version).toMatchObject({ version: 2, dataSince: 2 });
  const [old, now] = [
    await fixture.catalog.version("team", "breaks", 1),
    await fixture.catalog.version("team", "breaks", undefined),
  ];
  expect(old.dataset.datasetId).not.toBe(now.dataset.datasetId);
  expect(now.dataset).toMatchObject({ firstVersion: 2, entityKeys });
  const { version: third } = await fixture.version("team", "breaks", { entityKeys, features: [...features, VIEWS] });
  expect(third.dataSince).toBe(2);
});

test("a version is staged and promoted, another takes its place, and one goes back", async () => {
  const { featureGroups } = fixture.services;
  await fixture.group("team", "stages");
  const staged = await fixture.version("team", "stages", { features: [CLICKS, VIEWS], stage: true });
  expect(staged.version).toMatchObject({ version: 2, state: "STAGED" });
  expect(staged.version).not.toHaveProperty("promotedAt");
  expect(staged.featureGroup).toMatchObject({ currentVersion: 1, stagedVersion: 2 });
  expect((await fixture.catalog.version("team", "stages", 2)).version).toBe(2);
  expect((await fixture.catalog.version("team", "stages", undefined)).version).toBe(1);
  const same = await fixture.version("team", "stages", { features: [CLICKS, VIEWS], stage: true });
  expect(same.version.version).toBe(2);

  const replaced = await fixture.version("team", "stages", { ttlMs: 7, stage: true });
  expect(replaced.featureGroup).toMatchObject({ currentVersion: 1, stagedVersion: 3 });
  const second = await featureGroups.getVersion({ namespace: "team", group: "stages" }, 2);
  expect(second.state).toBe("EARLIER");

  const promoted = await featureGroups.promote({ namespace: "team", group: "stages", version: 3 });
  expect(promoted.version).toMatchObject({ version: 3, state: "CURRENT", promotedAt: expect.any(String) });
  expect(promoted.featureGroup).not.toHaveProperty("stagedVersion");
  expect(await featureGroups.promote({ namespace: "team", group: "stages", version: 3 })).toEqual(promoted);
  const back = await featureGroups.promote({ namespace: "team", group: "stages", version: 1 });
  expect(back.featureGroup.currentVersion).toBe(1);
  const missing = featureGroups.promote({ namespace: "team", group: "stages", version: 9 });
  await expect(missing).rejects.toMatchObject({ reason: "FEATURE_GROUP_VERSION_NOT_FOUND" });

  const first = await featureGroups.listVersions(page("stages"));
  const rest = await featureGroups.listVersions({ ...page("stages"), pageToken: first.nextPageToken });
  expect([...first.versions, ...rest.versions].map(({ version }) => version)).toEqual([3, 2, 1]);
  expect(rest).not.toHaveProperty("nextPageToken");
  await expect(featureGroups.listVersions(page("nothing"))).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("changes can be made from the revision that one knows alone", async () => {
  const { featureGroups } = fixture.services;
  await fixture.group("team", "guarded", { owner: "a" });
  const update = (fields: object) =>
    featureGroups.update(UpdateFeatureGroupRequest.parse({ namespace: "team", group: "guarded", ...fields }));
  expect(await update({ description: "new", revision: 1 })).toMatchObject({ owner: "a", revision: 2 });
  expect(await update({ tags: ["a", "b", "a"] })).toMatchObject({ tags: ["a", "b"], description: "new" });
  expect(await update({ owner: "b" })).toMatchObject({ tags: ["a", "b"] });
  await expect(update({ tags: ["c"], clearTags: true })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(await update({ clearTags: true })).toMatchObject({ tags: [], owner: "b" });
  const late = { code: "ABORTED", reason: "REVISION_MISMATCH" };
  await expect(update({ description: "old", revision: 1 })).rejects.toMatchObject(late);
  await expect(fixture.version("team", "guarded", { ttlMs: 1, revision: 1 })).rejects.toMatchObject(late);
  const promote = { namespace: "team", group: "guarded", version: 1, revision: 1 };
  await expect(featureGroups.promote(promote)).rejects.toMatchObject(late);
});

test("versions made at the same time get numbers of their own", async () => {
  await fixture.group("team", "busy");
  const made = await Promise.all([1, 2, 3, 4, 5].map((ttlMs) => fixture.version("team", "busy", { ttlMs })));
  expect(made.map(({ version }) => version.version).sort()).toEqual([2, 3, 4, 5, 6]);
});

test("a group that views read is not deleted; its rows are left to the background once it is", async () => {
  const { featureGroups, featureViews, featureShares } = fixture.services;
  await fixture.group("team", "used");
  const share = { namespace: "team", resourceType: "GROUP", resource: "used", withNamespace: "other" } as const;
  await featureShares.share(share, fixture.scope("team"), PRINCIPAL);
  await fixture.view("team", "mine", ["used:clicks"]);
  await fixture.view("other", "theirs", ["team/used:clicks"]);
  const remove = () => featureGroups.delete({ namespace: "team", group: "used" });
  await expect(remove()).rejects.toMatchObject({ code: "FAILED_PRECONDITION", reason: "FEATURE_GROUP_IN_USE" });
  await expect(remove()).rejects.toThrow("other/theirs@v1, team/mine@v1");
  const uses = await featureGroups.listUses({ namespace: "team", group: "used", pageSize: 1 });
  expect(uses.uses).toEqual([{ namespace: "other", view: "theirs", viewVersion: 1, groupVersion: 1 }]);
  const more = await featureGroups.listUses({ ...page("used"), pageToken: uses.nextPageToken });
  expect(more.uses).toEqual([{ namespace: "team", view: "mine", viewVersion: 1, groupVersion: 1 }]);

  const { dataset } = await fixture.catalog.version("team", "used", undefined);
  await featureViews.delete({ namespace: "team", view: "mine" });
  await featureViews.delete({ namespace: "other", view: "theirs" });
  await remove();
  await expect(fixture.catalog.version("team", "used", undefined)).rejects.toMatchObject({ code: "NOT_FOUND" });
  const { rows } = await fixture.database.query("SELECT group_id FROM feature_datasets WHERE dataset_id = $1", [
    dataset.datasetId,
  ]);
  expect(rows).toEqual([{ group_id: null }]);
  await fixture.group("team", "used");
  expect((await fixture.catalog.version("team", "used", 1)).dataset.datasetId).not.toBe(dataset.datasetId);
  const shares = await featureShares.list({ namespace: "team", received: false, pageSize: 10 });
  expect(shares.shares).toEqual([]);
});

test("a namespace says what it holds, and all of it goes with it, also what others read", async () => {
  await fixture.isolate("leaving", "NONE");
  await fixture.group("leaving", "group");
  await fixture.view("leaving", "view", ["group:clicks"]);
  await fixture.view("team", "stays", ["leaving/group:clicks"]);
  expect(await holdsDefinitions(fixture.database, "leaving")).toEqual(["1 feature groups", "1 feature views"]);
  await fixture.database.transaction((transaction) => purgeDefinitions(transaction, "leaving"));
  expect(await holdsDefinitions(fixture.database, "leaving")).toEqual([]);
  fixture.advance(5000);
  await expect(fixture.catalog.viewColumns("team", "stays")).rejects.toMatchObject({ code: "NOT_FOUND" });
  // Another group of that name is not what the view meant.
  await fixture.group("leaving", "group");
  fixture.advance(5000);
  await expect(fixture.catalog.viewColumns("team", "stays")).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("pages of groups go by name, and their tokens belong to them", async () => {
  await fixture.isolate("pages", "SHARED");
  for (const name of ["b", "a", "c-1", "c.1"]) await fixture.group("pages", name, { entityKeys: KEYS });
  const { featureGroups } = fixture.services;
  const seen: string[] = [];
  let pageToken: string | undefined;
  do {
    const { featureGroups: found, nextPageToken } = await featureGroups.list({
      namespace: "pages",
      pageSize: 3,
      pageToken,
    });
    seen.push(...found.map(({ group }) => group));
    pageToken = nextPageToken ?? pageToken;
    if (nextPageToken === undefined) break;
  } while (pageToken);
  expect(seen).toEqual(["a", "b", "c-1", "c.1"]);
  await expect(featureGroups.list({ namespace: "team", pageSize: 3, pageToken })).rejects.toThrow("another list");
});
