import type { Edge } from "../../../core/edge.ts";
import { FeatureGroup, FeatureGroupVersion } from "./group-model.ts";
import type { GroupService } from "./group-service.ts";
import { FeatureGroupUse, FeatureView, type FeatureViewColumn } from "./view-model.ts";
import type { ViewService } from "./view-service.ts";

interface Groups {
  readonly featureGroups: GroupService;
}
interface Views {
  readonly featureViews: ViewService;
}

const MAX_OF_EACH = 100;
const PAGE_SIZE = "pageSize: Int = 20";
const READ = "features.read";

/** Loads per namespace, because parents of one request may come from several. */
async function loadByNamespace<Parent extends { readonly namespace: string }, Value>(
  parents: readonly Parent[],
  load: (namespace: string, own: readonly Parent[]) => Promise<(parent: Parent) => Value>,
): Promise<Value[]> {
  const lookups = new Map<string, (parent: Parent) => Value>();
  for (const [namespace, own] of Map.groupBy(parents, (parent) => parent.namespace)) {
    lookups.set(namespace, await load(namespace, own));
  }
  return parents.map((parent) => lookups.get(parent.namespace)!(parent));
}

const unique = <T>(values: readonly T[]): T[] => [...new Set(values)];
const pageSizeOf = (args: Readonly<Record<string, unknown>>) =>
  Math.min(Math.max(Number(args.pageSize), 1), MAX_OF_EACH);

type OfGroup = { readonly namespace: string; readonly group: string };

/** For parents that name a group: that group, or null once it is gone. */
const loadGroups = ({ featureGroups }: Groups, parents: readonly OfGroup[]) =>
  loadByNamespace(parents, async (namespace, own) => {
    const groups = await featureGroups.getMany(namespace, unique(own.map(({ group }) => group)));
    const found = new Map(groups.map((group) => [group.group, group]));
    return ({ group }) => found.get(group) ?? null;
  });

const groupVersions: Edge<Groups, FeatureGroup> = {
  type: "FeatureGroup",
  field: "versions",
  description: `Its versions, newest first, at most ${MAX_OF_EACH}.`,
  returns: "[FeatureGroupVersion!]!",
  schema: FeatureGroupVersion,
  arguments: PAGE_SIZE,
  permission: READ,
  load: ({ featureGroups }, parents, args) =>
    loadByNamespace(parents, async (namespace, own) => {
      const names = unique(own.map(({ group }) => group));
      const versions = await featureGroups.listVersionsOfMany(namespace, names, pageSizeOf(args));
      const found = Map.groupBy(versions, ({ group }) => group);
      return ({ group }) => found.get(group) ?? [];
    }),
};

const groupUses: Edge<Groups, FeatureGroup> = {
  type: "FeatureGroup",
  field: "uses",
  description: `Views that read it, also those of other namespaces, at most ${MAX_OF_EACH}.`,
  returns: "[FeatureGroupUse!]!",
  schema: FeatureGroupUse,
  arguments: PAGE_SIZE,
  permission: READ,
  load: ({ featureGroups }, parents, args) =>
    loadByNamespace(parents, async (namespace, own) => {
      const names = unique(own.map(({ group }) => group));
      const uses = await featureGroups.listUsesOfMany(namespace, names, pageSizeOf(args));
      const found = Map.groupBy(uses, ({ group }) => group);
      return ({ group }) => (found.get(group) ?? []).map(({ group: _, ...use }) => use);
    }),
};

const versionGroup: Edge<Groups, FeatureGroupVersion> = {
  type: "FeatureGroupVersion",
  field: "featureGroup",
  description: "The group whose version it is.",
  returns: "FeatureGroup",
  schema: FeatureGroup,
  permission: READ,
  load: loadGroups,
};

const columnGroup: Edge<Groups, FeatureViewColumn> = {
  type: "FeatureViewColumn",
  field: "featureGroup",
  description: "The group it comes from, as it is now; for who may see it in the namespace that owns it.",
  returns: "FeatureGroup",
  schema: FeatureGroup,
  permission: READ,
  load: loadGroups,
};

const viewVersions: Edge<Views, FeatureView> = {
  type: "FeatureView",
  field: "versions",
  description: `Its versions, newest first, at most ${MAX_OF_EACH}.`,
  returns: "[FeatureView!]!",
  schema: FeatureView,
  arguments: PAGE_SIZE,
  permission: READ,
  load: ({ featureViews }, parents, args) =>
    loadByNamespace(parents, async (namespace, own) => {
      const names = unique(own.map(({ view }) => view));
      const versions = await featureViews.listVersionsOfMany(namespace, names, pageSizeOf(args));
      const found = Map.groupBy(versions, ({ view }) => view);
      return ({ view }) => found.get(view) ?? [];
    }),
};

const useView: Edge<Views, FeatureGroupUse> = {
  type: "FeatureGroupUse",
  field: "featureView",
  description: "The view that reads the group, in that version; for who may see it in its own namespace.",
  returns: "FeatureView",
  schema: FeatureView,
  permission: READ,
  load: ({ featureViews }, parents) =>
    loadByNamespace(parents, async (namespace, own) => {
      const keyOf = (view: string, version: number) => `${view}@v${version}`;
      const wanted = new Map(
        own.map(({ view, viewVersion }) => [keyOf(view, viewVersion), { view, version: viewVersion }]),
      );
      const views = await featureViews.getVersions(namespace, [...wanted.values()]);
      const found = new Map(views.map((view) => [keyOf(view.view, view.version), view]));
      return ({ view, viewVersion }) => found.get(keyOf(view, viewVersion)) ?? null;
    }),
};

/** The GraphQL relations of definitions. */
export const definitionEdges = [groupVersions, groupUses, versionGroup, columnGroup, viewVersions, useView] as const;
