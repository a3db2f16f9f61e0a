import type { NamespaceScope } from "../../../core/call.ts";
import { ANONYMOUS, type Principal } from "../../../core/principal.ts";
import { createLocalPubSub } from "../../../platform/local-pubsub.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import { migrate } from "../../../platform/postgres/migrate.ts";
import { createPgliteDatabase } from "../../../platform/postgres/pglite-database.ts";
import { featureMigrations } from "../migrations.ts";
import { createDefinitionChanges } from "./definition-changes.ts";
import { createFeatureCatalog, type FeatureCatalog } from "./feature-catalog.ts";
import { CreateFeatureGroupRequest, CreateFeatureGroupVersionRequest, type FeatureGroup } from "./group-model.ts";
import { createGroupService, type GroupAndVersion, type GroupService } from "./group-service.ts";
import { createFeatureSearch, type FeatureSearch } from "./search-service.ts";
import { createShareService, type ShareService } from "./share-service.ts";
import { CreateFeatureViewRequest, type FeatureView } from "./view-model.ts";
import { createViewService, type ViewService } from "./view-service.ts";

type Fields = Readonly<Record<string, unknown>>;

export const PRINCIPAL: Principal = { ...ANONYMOUS, id: "key:test", kind: "API_KEY" };

/** Who holds these permissions, by namespace. */
export function principalWith(grants: Readonly<Record<string, readonly string[]>>): Principal {
  return { ...PRINCIPAL, grants: new Map(Object.entries(grants).map(([name, held]) => [name, new Set(held)])) };
}

/** The definitions of one gateway. */
interface Definitions {
  readonly services: {
    readonly featureGroups: GroupService;
    readonly featureViews: ViewService;
    readonly featureShares: ShareService;
    readonly featureSearch: FeatureSearch;
  };
  readonly catalog: FeatureCatalog;
  close(): void;
}

export interface DefinitionsFixture extends Definitions {
  readonly database: Database;
  /** How isolated each namespace is; one that is not named is not there. */
  isolate(namespace: string, isolation: NamespaceScope["isolation"]): Promise<void>;
  scope(namespace: string): NamespaceScope;
  /** Moves the clock, which otherwise stands still. */
  advance(ms: number): void;
  /** Statements run so far. */
  queries(): number;
  group(namespace: string, group: string, fields?: Fields): Promise<FeatureGroup>;
  version(namespace: string, group: string, fields?: Fields): Promise<GroupAndVersion>;
  view(namespace: string, view: string, features: readonly unknown[], fields?: Fields): Promise<FeatureView>;
  /** Another gateway on the same database, which hears of no change. */
  deaf(): Promise<Definitions>;
}

export const KEYS = [{ name: "user_id", type: "INT64" }];
export const CLICKS = { name: "clicks", type: "INT64" };

/** Definitions beside as much of namespaces as they look at, on an empty `database` or one in memory. */
export async function createDefinitionsFixture(
  given?: Database,
): Promise<DefinitionsFixture & { stop(): Promise<void> }> {
  let elapsedMs = 0;
  let queryCount = 0;
  const clock = { now: () => Date.UTC(2027, 0, 1) + elapsedMs, monotonic: () => elapsedMs };
  const onQuery = () => {
    queryCount += 1;
  };
  const database = given ?? (await createPgliteDatabase({ onQuery }));
  await migrate(database, featureMigrations);
  await database.query("CREATE TABLE namespaces (name text PRIMARY KEY, isolation text NOT NULL)");
  const scopes = new Map<string, NamespaceScope>();
  const directory = { peek: (name: string) => scopes.get(name), get: async (name: string) => scopes.get(name) };
  const build = async (): Promise<Definitions> => {
    const changes = createDefinitionChanges(createLocalPubSub());
    const catalog = await createFeatureCatalog({ database, directory, clock, changes });
    return {
      services: {
        featureGroups: createGroupService({ database, clock, changes }),
        featureViews: createViewService({ database, directory, clock, changes }),
        featureShares: createShareService({ database, clock, changes }),
        featureSearch: createFeatureSearch({ database }),
      },
      catalog,
      close: () => catalog.close(),
    };
  };
  const domain = await build();
  const { featureGroups, featureViews } = domain.services;
  return {
    ...domain,
    database,
    async isolate(name, isolation) {
      scopes.set(name, { name, isolation, quotas: {} });
      const text = "INSERT INTO namespaces VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET isolation = $2";
      await database.query(text, [name, isolation]);
    },
    scope: (name) => scopes.get(name)!,
    advance(ms) {
      elapsedMs += ms;
    },
    queries: () => queryCount,
    group: (namespace, group, fields) =>
      featureGroups.create(
        CreateFeatureGroupRequest.parse({ namespace, group, entityKeys: KEYS, features: [CLICKS], ...fields }),
        PRINCIPAL,
      ),
    version: (namespace, group, fields) =>
      featureGroups.createVersion(
        CreateFeatureGroupVersionRequest.parse({ namespace, group, entityKeys: KEYS, features: [CLICKS], ...fields }),
        PRINCIPAL,
      ),
    view: (namespace, view, features, fields) => {
      const members = features.map((feature) => (typeof feature === "string" ? { feature } : feature));
      const request = { namespace, view, features: members, ...fields };
      return featureViews.create(CreateFeatureViewRequest.parse(request), PRINCIPAL);
    },
    deaf: build,
    async stop() {
      domain.close();
      if (given === undefined) await database.close();
    },
  };
}
