import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createDefinitionsFixture, PRINCIPAL } from "../../src/services/features/definitions/test-fixture.ts";
import { SearchFeaturesRequest } from "../../src/services/features/definitions/view-model.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";

describe.each(databaseEngines)("definitions on $name", ({ open }) => {
  let engine: OpenEngine;
  let fixture: Awaited<ReturnType<typeof createDefinitionsFixture>>;
  beforeAll(async () => {
    engine = await open();
    fixture = await createDefinitionsFixture(engine.database);
    await fixture.isolate("team", "SHARED");
    await fixture.isolate("owner", "SHARED");
  });
  afterAll(async () => {
    await fixture?.stop();
    await engine?.close();
  });

  test("a view and the deletion of its group do not pass each other unseen", async () => {
    for (let round = 0; round < 20; round += 1) {
      const group = `raced-${round}`;
      await fixture.group("team", group);
      const outcomes = await Promise.allSettled([
        fixture.view("team", `view-${round}`, [`${group}:clicks`]),
        fixture.services.featureGroups.delete({ namespace: "team", group }),
      ]);
      expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      for (const outcome of outcomes) {
        if (outcome.status === "fulfilled") continue;
        expect(["FEATURE_GROUP_IN_USE", "INVALID_ARGUMENT"]).toContain(outcome.reason.reason);
      }
    }
  });

  test("versions made at the same time get numbers of their own and lose no feature of the rows", async () => {
    await fixture.group("team", "busy");
    const names = Array.from({ length: 8 }, (_, index) => `added_${index}`);
    const made = await Promise.all(
      names.map((name) =>
        fixture.version("team", "busy", {
          features: [
            { name: "clicks", type: "INT64" },
            { name, type: "BOOL" },
          ],
          stage: true,
        }),
      ),
    );
    expect(made.map(({ version }) => version.version).sort()).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
    for (const { version } of made) {
      const { dataset, features, places } = await fixture.catalog.version("team", "busy", version.version);
      expect(features.map((_, index) => dataset.features[places[index]!]!.name)).toEqual(
        features.map(({ name }) => name),
      );
    }
    const { dataset } = await fixture.catalog.version("team", "busy", 9);
    expect(dataset.features.map(({ name }) => name).sort()).toEqual([...names, "clicks"]);
  });

  test("what one gateway shares, another finds and reads", async () => {
    await fixture.group("owner", "lent", { tags: ["lent"], description: "Ä 100%" });
    const share = { namespace: "owner", resourceType: "GROUP", resource: "lent", withNamespace: "team" } as const;
    await fixture.services.featureShares.share(share, fixture.scope("owner"), PRINCIPAL);
    const request = SearchFeaturesRequest.parse({ namespace: "team", tag: "lent", text: "ä %" });
    const { found } = await fixture.services.featureSearch.search(request, PRINCIPAL);
    expect(found.map(({ reference }) => reference)).toEqual(["owner/lent"]);
    const deaf = await fixture.deaf();
    expect(await deaf.catalog.columns("team", ["owner/lent:clicks"])).toHaveLength(1);
    await fixture.view("team", "borrows", ["owner/lent:clicks"]);
    const uses = await fixture.services.featureGroups.listUses({ namespace: "owner", group: "lent", pageSize: 5 });
    expect(uses.uses).toEqual([{ namespace: "team", view: "borrows", viewVersion: 1, groupVersion: 1 }]);
    deaf.close();
  });
});
