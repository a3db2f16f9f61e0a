import type { NamespaceScope } from "../../core/call.ts";
import type { Clock } from "../../core/clock.ts";
import type { IdGenerator } from "../../core/ids.ts";
import type { Component } from "../../core/lifecycle.ts";
import type { Logger } from "../../core/logger.ts";
import type { Database } from "../../platform/postgres/database.ts";
import type { PubSub } from "../../platform/pubsub.ts";
import type { RefreshingCache } from "../../platform/refreshing-cache.ts";
import { type Authenticator, createAuthenticator } from "./authenticator.ts";
import { createTenancyChanges, type TenancyChange } from "./changes.ts";
import { createJwtAuthenticator, type JwtAuthenticator, type JwtIssuer } from "./jwt-authenticator.ts";
import { createKeyAuthenticator, type KeyAuthenticator } from "./key-authenticator.ts";
import { createKeyService, type KeyService } from "./key-service.ts";
import { createNamespaceDirectory, type NamespaceDirectory } from "./namespace-directory.ts";
import {
  createNamespaceService,
  type EmptinessCheck,
  type NamespacePurger,
  type NamespaceService,
  type UsageSource,
} from "./namespace-service.ts";
import { createRoleService, type RoleService } from "./role-service.ts";

export interface TenancyOptions {
  readonly database: Database;
  /** Where every call's credential and namespace are looked up, if not in `database`: it must not wait for other statements. */
  readonly lookups?: Database;
  readonly pubsub: PubSub;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly logger: Logger;
  /** Identity providers whose tokens are accepted. */
  readonly jwtIssuers?: readonly JwtIssuer[];
  readonly usageSources?: readonly UsageSource[];
  readonly emptinessChecks?: readonly EmptinessCheck[];
  readonly purgers?: readonly NamespacePurger[];
  /** Keys, tokens and namespaces remembered; each of them by itself. */
  readonly maxCacheEntries?: number;
}

/** Namespaces, who may do what in them, and who calls. */
export interface Tenancy extends Component {
  readonly services: {
    readonly namespaces: NamespaceService;
    readonly apiKeys: KeyService;
    readonly roles: RoleService;
  };
  readonly authenticator: Authenticator;
  readonly directory: NamespaceDirectory;
}

/** A change is seen everywhere after this long, even where the message about it was lost. */
const CACHE_MAX_AGE_MS = 5000;
const DEFAULT_MAX_CACHE_ENTRIES = 10_000;

export function createTenancy(options: TenancyOptions): Tenancy {
  const { pubsub, jwtIssuers = [] } = options;
  const cacheOptions = {
    ...options,
    database: options.lookups ?? options.database,
    maxAgeMs: CACHE_MAX_AGE_MS,
    maxEntries: options.maxCacheEntries ?? DEFAULT_MAX_CACHE_ENTRIES,
  };
  const changes = createTenancyChanges(pubsub);
  const keys = createKeyAuthenticator(cacheOptions);
  const tokens = jwtIssuers.length > 0 ? createJwtAuthenticator({ ...cacheOptions, issuers: jwtIssuers }) : undefined;
  const directory = createNamespaceDirectory(cacheOptions);
  let started: Promise<() => void> | undefined;

  return {
    name: "tenancy",
    services: {
      namespaces: createNamespaceService({
        ...options,
        changes,
        usageSources: options.usageSources ?? [],
        emptinessChecks: options.emptinessChecks ?? [],
        purgers: options.purgers ?? [],
      }),
      apiKeys: createKeyService({ ...options, changes }),
      roles: createRoleService({ ...options, changes }),
    },
    authenticator: createAuthenticator(keys, tokens),
    directory,
    async start() {
      started ??= changes.subscribe((change) => forget(change, keys, tokens, directory));
      await started;
    },
    async stop() {
      const unsubscribe = await started;
      started = undefined;
      unsubscribe?.();
    },
  };
}

/** Drops what a change has made stale. */
function forget(
  change: TenancyChange,
  keys: KeyAuthenticator,
  tokens: JwtAuthenticator | undefined,
  directory: RefreshingCache<NamespaceScope>,
): void {
  if (change.kind === "namespace") {
    directory.drop(change.name);
  } else if (change.kind === "grants") {
    keys.cache.dropWhere((_id, { principal }) => principal.grants.has(change.namespace));
    tokens?.forgetNamespace(change.namespace);
  } else if (change.kind === "principal") {
    if (change.id.startsWith("key:")) keys.cache.drop(change.id.slice("key:".length));
    else tokens?.forgetPrincipal(change.id);
  }
}
