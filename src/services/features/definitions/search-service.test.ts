import { afterAll, beforeAll, expect, test } from "vitest";
import { createFeatureSearch } from "./search-service.ts";
import { createDefinitionsFixture, PRINCIPAL, principalWith } from "./test-fixture.ts";
import { SearchFeaturesRequest } from "./view-model.ts";

let fixture: Awaited<ReturnType<typeof createDefinitionsFixture>>;
beforeAll(async () => {
  fixture = await createDefinitionsFixture();
  for (const name of ["team", "owner", "granted", "hidden"]) await fixture.isolate(name, "SHARED");
  await fixture.isolate("open", "NONE");
  const features = [
    { name: "clicks_7d", type: "INT64", description: "Klicks der WOCHE: ÄÖ 100%", tags: ["web"] },
    { name: "vector", type: "VECTOR", dimension: 2 },
  ];
  for (const namespace of ["team", "owner", "granted", "hidden", "open"]) {
    await fixture.group(namespace, "users", {
      features,
      owner: `${namespace}-ml`,
      tags: ["core"],
      description: "People",
    });
  }
  await fixture.group("owner", "secret", { features });
  await fixture.view("team", "fraud", ["users:clicks_7d"], { description: "Finds fraud" });
  const share = { namespace: "owner", resourceType: "GROUP", resource: "users", withNamespace: "team" } as const;
  await fixture.services.featureShares.share(share, fixture.scope("owner"), PRINCIPAL);
});
afterAll(() => fixture.stop());

async function find(fields: object, principal = PRINCIPAL, search = fixture.services.featureSearch): Promise<string[]> {
  const seen: string[] = [];
  let pageToken: string | undefined;
  do {
    const request = SearchFeaturesRequest.parse({ namespace: "team", ...fields, pageToken });
    const page = await search.search(request, principal);
    expect(page.found.length).toBeLessThanOrEqual(request.pageSize);
    seen.push(...page.found.map(({ reference }) => reference));
    pageToken = page.nextPageToken;
  } while (pageToken);
  return seen;
}

const OWN = ["fraud", "users", "users:clicks_7d", "users:vector"];
const of = (namespace: string) => ["users", "users:clicks_7d", "users:vector"].map((name) => `${namespace}/${name}`);

test("a namespace finds its own, what is shared with it and what is open, and no more", async () => {
  expect(await find({})).toEqual([...of("open"), ...of("owner"), ...OWN]);
});

test("a caller finds what it may read elsewhere too, and everything if it may everywhere", async () => {
  const here = principalWith({ granted: ["features.read"], hidden: ["features.write"] });
  expect(await find({}, here)).toEqual([...of("granted"), ...of("open"), ...of("owner"), ...OWN]);
  const secret = ["owner/secret", "owner/secret:clicks_7d", "owner/secret:vector"];
  const all = [...of("granted"), ...of("hidden"), ...of("open"), ...secret, ...of("owner"), ...OWN];
  expect(await find({}, principalWith({ "*": ["*"] }))).toEqual(all);
  expect(await find({ pageSize: 1 }, principalWith({ "*": ["*"] }))).toEqual(all);
});

test("every condition must hold", async () => {
  const mine = async (fields: object) => (await find(fields)).filter((reference) => !reference.includes("/"));
  expect(await mine({ text: "fRAUD" })).toEqual(["fraud"]);
  expect(await mine({ text: "woche äö" })).toEqual(["users:clicks_7d"]);
  expect(await mine({ text: "woche nothing" })).toEqual([]);
  expect(await mine({ text: "people" })).toEqual(["users"]);
  expect(await mine({ tag: "core" })).toEqual(["users", "users:clicks_7d", "users:vector"]);
  expect(await mine({ tag: "web" })).toEqual(["users:clicks_7d"]);
  expect(await mine({ type: "VECTOR" })).toEqual(["users:vector"]);
  expect(await find({ owner: "owner-ml" })).toEqual(of("owner"));
  expect(await mine({ owner: "team-ml", type: "INT64", tag: "web", text: "7D" })).toEqual(["users:clicks_7d"]);
});

test("what LIKE gives a meaning to is looked for as it is", async () => {
  const mine = async (text: string) => (await find({ text })).filter((reference) => !reference.includes("/"));
  expect(await mine("100%")).toEqual(["users:clicks_7d"]);
  expect(await mine("c%d")).toEqual([]);
  expect(await mine("clicks_7d")).toEqual(["users:clicks_7d"]);
  expect(await mine("v_ctor")).toEqual([]);
  expect(await mine("\\")).toEqual([]);
});

test("a page looks at a bounded number of things, and the next one goes on", async () => {
  for (const [maxScanned, maxNamespaces] of [
    [1, 50],
    [2, 1],
    [100, 1],
    [3, 2],
  ] as const) {
    const search = createFeatureSearch({ database: fixture.database, maxScanned, maxNamespaces });
    expect(await find({}, PRINCIPAL, search), `${maxScanned}`).toEqual([...of("open"), ...of("owner"), ...OWN]);
    expect(await find({ text: "fraud", pageSize: 2 }, PRINCIPAL, search)).toEqual(["fraud"]);
  }
});

test("searches find things as they are now, and shares only while they count", async () => {
  await fixture.group("team", "changing", { owner: "changing" });
  await fixture.version("team", "changing", {
    features: [
      { name: "clicks", type: "INT64" },
      { name: "added", type: "BOOL" },
    ],
  });
  expect(await find({ owner: "changing" })).toEqual(["changing", "changing:added", "changing:clicks"]);
  const { featureGroups } = fixture.services;
  await featureGroups.update({ namespace: "team", group: "changing", owner: "changed", clearTags: true });
  expect(await find({ owner: "changing" })).toEqual([]);
  await featureGroups.promote({ namespace: "team", group: "changing", version: 1 });
  expect(await find({ owner: "changed" })).toEqual(["changing", "changing:clicks"]);
  await featureGroups.delete({ namespace: "team", group: "changing" });
  expect(await find({ owner: "changed" })).toEqual([]);
  await fixture.isolate("owner", "STRICT");
  expect(await find({ owner: "owner-ml" })).toEqual([]);
});
