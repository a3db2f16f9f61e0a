import { z } from "zod";
import type { NamespaceScope } from "../../../core/call.ts";
import type { Clock } from "../../../core/clock.ts";
import { invalidArgument, notFound } from "../../../core/errors.ts";
import { createPageTokens } from "../../../core/page.ts";
import type { Principal } from "../../../core/principal.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import type { DefinitionChanges } from "./definition-changes.ts";
import { namespaceStrict } from "./definition-errors.ts";
import {
  deleteShare,
  getShare,
  insertShare,
  listGranted,
  listReceived,
  lockShared,
  type ShareKey,
  type StoredShare,
} from "./share-store.ts";
import type {
  FeatureShare,
  ListFeatureSharesRequest,
  ShareFeaturesRequest,
  UnshareFeaturesRequest,
} from "./view-model.ts";

/** Lets other namespaces read groups and views. */
export interface ShareService {
  share(request: ShareFeaturesRequest, owner: NamespaceScope, principal: Principal): Promise<FeatureShare>;
  unshare(request: UnshareFeaturesRequest): Promise<void>;
  list(request: ListFeatureSharesRequest): Promise<{ shares: FeatureShare[]; nextPageToken?: string }>;
}

export interface ShareServiceOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly changes: DefinitionChanges;
}

/** Three texts: what tells one share from another in a list of one namespace. */
const Place = z.tuple([z.string().max(63), z.string().max(63), z.string().max(63)]);

export function createShareService({ database, clock, changes }: ShareServiceOptions): ShareService {
  const publish = ({ namespace, resourceType, resource, withNamespace }: ShareKey) =>
    changes.publish({ kind: "SHARE", namespace, resourceType, resource, withNamespace });

  return {
    async share(request, owner, { id }) {
      const { namespace, resourceType, resource, withNamespace } = request;
      if (withNamespace === namespace) {
        throw invalidArgument([{ field: "withNamespace", message: "is the namespace itself, which reads it anyway" }]);
      }
      if (owner.isolation === "STRICT") throw namespaceStrict(namespace);
      const key = { namespace, resourceType, resource, withNamespace };
      const share = await database.transaction(async (transaction) => {
        const isThere = await lockShared(transaction, resourceType, namespace, resource);
        if (!isThere) throw notFound(resourceType === "GROUP" ? "feature group" : "feature view", resource);
        await insertShare(transaction, { ...key, createdBy: id, createdAt: new Date(clock.now()) });
        return getShare(transaction, key);
      });
      publish(key);
      return describeShare(share!);
    },

    async unshare(request) {
      if (!(await deleteShare(database, request))) {
        throw notFound("feature share", `${request.resource} with ${request.withNamespace}`);
      }
      publish(request);
    },

    async list({ namespace, received, pageSize, pageToken }) {
      const tokens = createPageTokens(Place, ["featureShares.list", namespace, received]);
      const place = tokens.decode(pageToken) ?? (["", "", ""] as const);
      const found = await (received ? listReceived : listGranted)(database, namespace, place, pageSize + 1);
      const page = found.slice(0, pageSize);
      const shares = page.map(describeShare);
      if (found.length <= pageSize) return { shares };
      const last = page.at(-1)!;
      const { resourceType, resource } = last;
      const next: z.output<typeof Place> = received
        ? [last.namespace, resourceType, resource]
        : [resourceType, resource, last.withNamespace];
      return { shares, nextPageToken: tokens.encode(next) };
    },
  };
}

function describeShare({ createdAt, ...share }: StoredShare): FeatureShare {
  return { ...share, createdAt: createdAt.toISOString() };
}
