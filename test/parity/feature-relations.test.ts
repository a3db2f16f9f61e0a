import { afterAll, beforeAll, expect, test } from "vitest";
import { type Actor, type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";

let gateway: ParityGateway;
let owner: Actor;
let reader: Actor;

beforeAll(async () => {
  gateway = await startParityGateway();
  owner = await gateway.actor("rest", "feature-owner");
  reader = await gateway.actor("grpc", "feature-reader");
  const schema = { entityKeys: [{ name: "id", type: "INT64" }], features: [{ name: "clicks", type: "INT64" }] };
  for (const group of ["a", "b"]) await owner.must("featureGroups.create", { group, ...schema });
  await owner.must("featureGroups.createVersion", { group: "a", ...schema, ttlMs: 5 });
  const share = { resourceType: "GROUP", resource: "a", withNamespace: reader.namespace };
  await owner.must("featureShares.share", share);
  await owner.must("featureViews.create", { view: "own", features: [{ feature: "a@v1:clicks" }] });
  await reader.must("featureViews.create", { view: "theirs", features: [{ feature: "feature-owner/a:clicks" }] });
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

const ask = (query: string, authorization = gateway.admin) =>
  gateway.clients.graphql.query({ query, variables: {} }, { authorization });

test("groups lead to their versions and uses, and those to views and groups", async () => {
  const { data, errors } = await ask(`{ featureGroups(namespace: "feature-owner", pageSize: 5) { featureGroups {
    group versions(pageSize: 1) { version featureGroup { currentVersion } }
    uses(pageSize: 5) { view groupVersion featureView { columns { name featureGroup { group } } versions(pageSize: 2) { version } } }
  } } }`);
  expect(errors).toBeUndefined();
  const version = (number: number) => [{ version: number, featureGroup: { currentVersion: number } }];
  const use = (view: string, groupVersion: number) => ({
    view,
    groupVersion,
    featureView: { columns: [{ name: "clicks", featureGroup: { group: "a" } }], versions: [{ version: 1 }] },
  });
  expect(data).toEqual({
    featureGroups: {
      featureGroups: [
        { group: "a", versions: version(2), uses: [use("own", 1), use("theirs", 2)] },
        { group: "b", versions: version(1), uses: [] },
      ],
    },
  });
});

test("nobody sees the definitions of another namespace through a view or a use", async () => {
  const key = await reader.key("operator");
  const view = await ask(
    `{ featureView(namespace: "feature-reader", view: "theirs") { featureView { columns { group type featureGroup { owner } } } } }`,
    key,
  );
  expect(view.data).toMatchObject({ featureView: { featureView: { columns: [{ group: "a", featureGroup: null }] } } });
  expect(view.errors?.[0]?.extensions).toMatchObject({ code: expect.stringMatching(/PERMISSION_DENIED|NOT_FOUND/) });
  const uses = await ask(
    `{ featureGroupUses(namespace: "feature-owner", group: "a") { uses { namespace featureView { description } } } }`,
    await owner.key("viewer"),
  );
  expect(uses.data).toMatchObject({
    featureGroupUses: {
      uses: [
        { namespace: "feature-owner", featureView: { description: "" } },
        { namespace: "feature-reader", featureView: null },
      ],
    },
  });
});

test("a namespace with definitions is not empty, and is deleted with them by force", async () => {
  const remove = (force: boolean) => owner.call("namespaces.delete", { namespace: reader.namespace, force });
  expect(await remove(false)).toMatchObject({ ok: false, reason: "NAMESPACE_NOT_EMPTY" });
  expect(await remove(true)).toMatchObject({ ok: true });
  const { uses } = await owner.must("featureGroups.listUses", { group: "a" });
  expect(uses.map(({ view }: { view: string }) => view)).toEqual(["own"]);
});

test("nothing of all this failed inside the gateway", () => {
  expect(gateway.logged).toEqual([]);
});
