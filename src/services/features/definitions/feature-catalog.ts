import type { Clock } from "../../../core/clock.ts";
import { notFound } from "../../../core/errors.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import { createRefreshingCache } from "../../../platform/refreshing-cache.ts";
import type { NamespaceDirectory } from "../../tenancy/index.ts";
import { indexFeatures, loadVersion, loadView, type ResolvedView } from "./catalog-store.ts";
import { type ColumnPlan, createColumnPlans } from "./column-plans.ts";
import type { DefinitionChange, DefinitionChanges } from "./definition-changes.ts";
import { parseResource, type ResourceReference, resourceKey, resourceText } from "./references.ts";
import type { ResolvedColumn, ResolvedVersion } from "./resolved.ts";
import { getShare } from "./share-store.ts";
import type { FeatureResourceType } from "./view-model.ts";

export type { ResolvedColumn, ResolvedVersion } from "./resolved.ts";

/**
 * Definitions as reads and writes need them, from memory whenever that is recent enough: changes
 * made by this gateway show at once, those of others within a bounded time, sooner by pub/sub.
 * What `namespace` may not read is NOT_FOUND.
 */
export interface FeatureCatalog {
  /** The columns of a view of `namespace`, or of one shared with it: `view`, `view@v2`, `other/view`. */
  viewColumns(namespace: string, view: string): Promise<readonly ResolvedColumn[]>;
  /** The columns that references name (see featureReferenceField). */
  columns(namespace: string, references: readonly string[]): Promise<readonly ResolvedColumn[]>;
  /** A version of a group of the namespace itself, to write to; the current one where `version` is absent. */
  version(namespace: string, group: string, version: number | undefined): Promise<ResolvedVersion>;
}

export interface FeatureCatalogOptions {
  readonly database: Queryable;
  readonly directory: NamespaceDirectory;
  readonly clock: Clock;
  readonly changes: DefinitionChanges;
  /** Features remembered of versions, of views, and of lists of references, each of them by itself. */
  readonly maxFeatures?: number;
}

/** A change is seen everywhere after this long, even where the message about it was lost. */
const MAX_AGE_MS = 5000;
const MAX_FEATURES = 100_000;
const MAX_SHARES = 10_000;

/** The columns that a list of references named last, and what they were made from. */
interface PlannedColumns {
  readonly versions: readonly ResolvedVersion[];
  readonly columns: readonly ResolvedColumn[];
}

/** Keeps definitions in memory until `close`. */
export async function createFeatureCatalog(
  options: FeatureCatalogOptions,
): Promise<FeatureCatalog & { close(): void }> {
  const { database, clock, changes, maxFeatures = MAX_FEATURES } = options;
  const aged = { clock, maxAgeMs: MAX_AGE_MS };
  const versions = createRefreshingCache<ResolvedVersion>({
    ...aged,
    maxEntries: maxFeatures,
    weightOf: ({ features }) => features.length + 1,
    load: (key) => loadVersion(database, parseResource("", key, "group")),
  });
  const views = createRefreshingCache<ResolvedView>({
    ...aged,
    maxEntries: maxFeatures,
    weightOf: ({ columns }) => columns.length + 1,
    load: (key) => loadView(database, parseResource("", key, "view")),
  });
  const access = createAccess(options);
  const plans = createColumnPlans<PlannedColumns>(maxFeatures);

  const requireAccess = async (
    reader: string,
    type: FeatureResourceType,
    owner: string,
    name: string,
  ): Promise<void> => {
    if (owner === reader || access.isKnown(reader, type, owner, name)) return;
    if (await access.ask(reader, type, owner, name)) return;
    throw notFound(type === "GROUP" ? "feature group" : "feature view", `${owner}/${name}`);
  };

  const versionOf = async (reader: string, key: string, reference: ResourceReference): Promise<ResolvedVersion> => {
    const version = versions.peek(key) ?? (await versions.get(key));
    if (version !== undefined) return version;
    throw notFound(
      reference.version === undefined ? "feature group" : "feature group version",
      resourceText(reader, reference),
    );
  };

  const unsubscribe = await changes.subscribe((change) => {
    if (change.kind === "GROUP") versions.dropKeys(isOf(change));
    if (change.kind === "VIEW") views.dropKeys(isOf(change));
    if (change.kind === "SHARE") access.forget(change);
  });

  return {
    async viewColumns(namespace, text) {
      const key = text.includes("/") ? text : `${namespace}/${text}`;
      const view = views.peek(key) ?? (await views.get(key));
      // The same words for one that is not there and one that is not shared.
      if (view === undefined) throw notFound("feature view", text);
      if (view.namespace !== namespace) await requireAccess(namespace, "VIEW", view.namespace, view.name);
      for (const group of view.foreign) await requireAccess(namespace, "GROUP", group.namespace, group.name);
      if (view.missing !== undefined) throw notFound("feature group", view.missing);
      return view.columns;
    },

    async columns(namespace, references) {
      const plan = plans.of(namespace, references);
      const found: ResolvedVersion[] = [];
      for (const { key, reference } of plan.groups) {
        if (reference.namespace !== namespace) {
          await requireAccess(namespace, "GROUP", reference.namespace, reference.name);
        }
        found.push(versions.peek(key) ?? (await versionOf(namespace, key, reference)));
      }
      const { last } = plan;
      if (last !== undefined && found.every((version, index) => version === last.versions[index])) return last.columns;
      const columns = planColumns(plan, found);
      plan.last = { versions: found, columns };
      return columns;
    },

    version(namespace, name, version) {
      const reference = { namespace, name, version };
      return versionOf(namespace, resourceKey(reference), reference);
    },

    close: unsubscribe,
  };
}

function planColumns(plan: ColumnPlan<PlannedColumns>, found: readonly ResolvedVersion[]): readonly ResolvedColumn[] {
  const indexes = found.map(indexFeatures);
  return plan.members.map(({ group, feature, text }) => {
    const column = indexes[group]!(feature, text);
    if (column === undefined) throw notFound("feature", text);
    return column;
  });
}

/** Whether a key names that group or view, in whatever version. */
function isOf({ namespace, name }: { readonly namespace: string; readonly name: string }): (key: string) => boolean {
  const current = `${namespace}/${name}`;
  return (key) => key === current || key.startsWith(`${current}@v`);
}

/** Whether a namespace may read what another one owns, checked at each call against what is remembered. */
function createAccess({ database, directory, clock }: FeatureCatalogOptions) {
  const shares = createRefreshingCache<true>({
    clock,
    maxAgeMs: MAX_AGE_MS,
    maxEntries: MAX_SHARES,
    async load(key) {
      const [withNamespace, resourceType, namespace, resource] = key.split(" ") as [
        string,
        FeatureResourceType,
        string,
        string,
      ];
      const share = await getShare(database, { namespace, resourceType, resource, withNamespace });
      return share && true;
    },
  });
  const keyOf = (reader: string, type: FeatureResourceType, owner: string, name: string) =>
    `${reader} ${type} ${owner} ${name}`;

  return {
    /** True where that is known without waiting. */
    isKnown(reader: string, type: FeatureResourceType, owner: string, name: string): boolean {
      const isolation = directory.peek(owner)?.isolation;
      if (isolation === "NONE") return true;
      return isolation === "SHARED" && shares.peek(keyOf(reader, type, owner, name)) === true;
    },
    async ask(reader: string, type: FeatureResourceType, owner: string, name: string): Promise<boolean> {
      const scope = await directory.get(owner);
      if (scope === undefined || scope.isolation === "STRICT") return false;
      return scope.isolation === "NONE" || (await shares.get(keyOf(reader, type, owner, name))) === true;
    },
    forget({ namespace, resourceType, resource, withNamespace }: DefinitionChange & { readonly kind: "SHARE" }) {
      shares.drop(keyOf(withNamespace, resourceType, namespace, resource));
    },
  };
}
