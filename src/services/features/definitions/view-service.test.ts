import { afterAll, beforeAll, expect, test } from "vitest";
import { CLICKS, createDefinitionsFixture, KEYS, PRINCIPAL } from "./test-fixture.ts";
import { type ShareFeaturesRequest, UpdateFeatureViewRequest } from "./view-model.ts";

let fixture: Awaited<ReturnType<typeof createDefinitionsFixture>>;
beforeAll(async () => {
  fixture = await createDefinitionsFixture();
  await fixture.isolate("team", "SHARED");
  await fixture.isolate("owner", "SHARED");
  await fixture.isolate("open", "NONE");
  await fixture.isolate("closed", "STRICT");
  for (const namespace of ["team", "owner", "open", "closed"]) await fixture.group(namespace, "users");
});
afterAll(() => fixture.stop());

const share = (request: Partial<ShareFeaturesRequest>) =>
  fixture.services.featureShares.share(
    { namespace: "owner", resourceType: "GROUP", resource: "users", withNamespace: "team", ...request },
    fixture.scope(request.namespace ?? "owner"),
    PRINCIPAL,
  );
const update = (fields: object) =>
  fixture.services.featureViews.update(UpdateFeatureViewRequest.parse({ namespace: "team", ...fields }), PRINCIPAL);

test("a view pins each feature to the version that is named or else current then", async () => {
  await fixture.group("team", "moving");
  await fixture.version("team", "moving", { ttlMs: 5 });
  const made = await fixture.view("team", "model", ["moving:clicks", { feature: "moving@v1:clicks", alias: "before" }]);
  const column = { namespace: "team", group: "moving", feature: "clicks", type: "INT64" };
  expect(made).toMatchObject({ version: 1, currentVersion: 1, revision: 1 });
  expect(made.columns).toEqual([
    { ...column, name: "clicks", version: 2 },
    { ...column, name: "before", version: 1 },
  ]);
  await fixture.version("team", "moving", { ttlMs: 6 });
  expect(await fixture.services.featureViews.get({ namespace: "team", view: "model" })).toEqual(made);
  await expect(fixture.view("team", "model", ["users:clicks"])).rejects.toMatchObject({
    reason: "FEATURE_VIEW_EXISTS",
  });
});

test("other features make a new version, the same ones none, and old ones stay", async () => {
  await fixture.group("team", "base");
  await fixture.view("team", "grown", ["base:clicks"]);
  expect(await update({ view: "grown", owner: "ml" })).toMatchObject({ version: 1, revision: 2, owner: "ml" });
  expect(await update({ view: "grown", features: [{ feature: "base:clicks" }] })).toMatchObject({ version: 1 });
  await fixture.version("team", "base", { ttlMs: 5 });
  const next = await update({ view: "grown", features: [{ feature: "base:clicks" }], revision: 3 });
  expect(next).toMatchObject({ version: 2, currentVersion: 2, columns: [{ version: 2 }] });
  const { featureViews } = fixture.services;
  const old = await featureViews.get({ namespace: "team", view: "grown", version: 1 });
  expect(old).toMatchObject({ version: 1, currentVersion: 2, columns: [{ version: 1 }] });
  await expect(update({ view: "grown", owner: "x", revision: 1 })).rejects.toMatchObject({
    reason: "REVISION_MISMATCH",
  });
  const missing = featureViews.get({ namespace: "team", view: "grown", version: 3 });
  await expect(missing).rejects.toMatchObject({ reason: "FEATURE_VIEW_VERSION_NOT_FOUND" });
  expect((await featureViews.listVersionsOfMany("team", ["grown"], 5)).map(({ version }) => version)).toEqual([2, 1]);
});

test("what is not there and what clashes is refused by its field, all at once", async () => {
  await fixture.group("team", "texts", { entityKeys: [{ name: "user_id", type: "STRING" }] });
  await fixture.group("team", "named", {
    entityKeys: [{ name: "clicks", type: "INT64" }],
    features: [{ name: "n", type: "BOOL" }],
  });
  const refusals: readonly [features: unknown[], fields: string[]][] = [
    [
      ["users:clicks", "users:nothing", "nobody:clicks", "users@v7:clicks"],
      ["1.feature", "2.feature", "3.feature"],
    ],
    [["users:clicks", "users@v1:clicks"], ["1.alias"]],
    [["users:clicks", { feature: "users:clicks", alias: "clicks" }], ["1.alias"]],
    [[{ feature: "users:clicks", alias: "user_id" }], ["0.alias"]],
    [["users:clicks", "named:n"], ["0.alias"]],
    [["users:clicks", { feature: "texts:clicks", alias: "other" }], [""]],
  ];
  for (const [features, fields] of refusals) {
    const named = fields.map((field) => ({
      field: field === "" ? "features" : `features[${field.replace(".", "].")}`,
    }));
    const refused = fixture.view("team", "clashing", features);
    await expect(refused, JSON.stringify(features)).rejects.toMatchObject({ details: { fields: named } });
  }
  const get = fixture.services.featureViews.get({ namespace: "team", view: "clashing" });
  await expect(get).rejects.toMatchObject({ reason: "FEATURE_VIEW_NOT_FOUND" });
});

test("features of others are taken in where they are shared, or where everybody may read", async () => {
  const take = (view: string, feature: string) => fixture.view("team", view, [feature]);
  const nothing = { code: "INVALID_ARGUMENT", message: expect.stringContaining("there is no feature group") };
  await expect(take("shared", "owner/users:clicks")).rejects.toMatchObject(nothing);
  await expect(take("closed", "closed/users:clicks")).rejects.toMatchObject(nothing);
  await expect(take("nowhere", "nowhere/users:clicks")).rejects.toMatchObject(nothing);
  await expect(take("open", "open/users:clicks")).resolves.toMatchObject({ columns: [{ namespace: "open" }] });
  await share({});
  await expect(take("shared", "owner/users:clicks")).resolves.toMatchObject({ columns: [{ namespace: "owner" }] });
});

test("what is strict shares nothing, and nobody shares with themselves or learns who is there", async () => {
  await expect(share({ namespace: "closed" })).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    reason: "NAMESPACE_STRICT",
  });
  await expect(share({ withNamespace: "owner" })).rejects.toMatchObject({
    details: { fields: [{ field: "withNamespace" }] },
  });
  await expect(share({ resource: "nothing" })).rejects.toMatchObject({ reason: "FEATURE_GROUP_NOT_FOUND" });
  await expect(share({ resourceType: "VIEW" })).rejects.toMatchObject({ reason: "FEATURE_VIEW_NOT_FOUND" });
  const made = await share({ withNamespace: "nowhere" });
  expect(made).toMatchObject({
    namespace: "owner",
    resource: "users",
    withNamespace: "nowhere",
    createdBy: "key:test",
  });
  fixture.advance(1000);
  expect(await share({ withNamespace: "nowhere" })).toEqual(made);
});

test("shares are listed by those who granted and those who received them, page by page, until they end", async () => {
  const { featureShares } = fixture.services;
  for (const namespace of ["giver-1", "giver-2"]) {
    await fixture.isolate(namespace, "SHARED");
    await fixture.group(namespace, "g");
    await fixture.view(namespace, "v", ["g:clicks"]);
    await share({ namespace, resource: "g", withNamespace: "taker" });
    await share({ namespace, resource: "v", resourceType: "VIEW", withNamespace: "taker" });
  }
  const all = async (namespace: string, received: boolean) => {
    const seen: string[] = [];
    let pageToken: string | undefined;
    do {
      const page = await featureShares.list({ namespace, received, pageSize: 1, pageToken });
      seen.push(...page.shares.map((one) => `${one.namespace} ${one.resourceType} ${one.resource}`));
      pageToken = page.nextPageToken;
    } while (pageToken);
    return seen;
  };
  const first = ["giver-1 GROUP g", "giver-1 VIEW v"];
  const second = ["giver-2 GROUP g", "giver-2 VIEW v"];
  expect(await all("giver-1", false)).toEqual(first);
  expect(await all("taker", true)).toEqual([...first, ...second]);
  await fixture.isolate("giver-2", "STRICT");
  expect(await all("taker", true)).toEqual(first);
  expect(await all("giver-2", false)).toEqual(second);
  const ended = { namespace: "giver-1", resourceType: "GROUP", resource: "g", withNamespace: "taker" } as const;
  await featureShares.unshare(ended);
  expect(await all("taker", true)).toEqual(["giver-1 VIEW v"]);
  await expect(featureShares.unshare(ended)).rejects.toMatchObject({ reason: "FEATURE_SHARE_NOT_FOUND" });
});

test("a view and the deletion of its group do not pass each other unseen", async () => {
  const { featureGroups } = fixture.services;
  for (let round = 0; round < 5; round += 1) {
    const group = `raced-${round}`;
    await fixture.group("team", group, { entityKeys: KEYS, features: [CLICKS] });
    const [view, deletion] = await Promise.allSettled([
      fixture.view("team", `race-${round}`, [`${group}:clicks`]),
      featureGroups.delete({ namespace: "team", group }),
    ]);
    expect([view.status, deletion.status].sort()).toEqual(["fulfilled", "rejected"]);
  }
});
