import type { FeatureGroup, FeatureGroupVersion } from "./group-model.ts";
import type { StoredGroup, StoredGroupVersion } from "./group-store.ts";
import type { SearchEntry } from "./search-store.ts";

/** A version as clients see it. */
export function describeVersion(stored: StoredGroupVersion): FeatureGroupVersion {
  return {
    namespace: stored.namespace,
    group: stored.name,
    version: stored.version,
    state: stateOf(stored, stored.version),
    dataSince: stored.dataSince,
    ...stored.definition,
    createdBy: stored.versionCreatedBy,
    createdAt: stored.versionCreatedAt.toISOString(),
    ...(stored.promotedAt === null ? {} : { promotedAt: stored.promotedAt.toISOString() }),
  };
}

/** A group as clients see it; `current` holds its current version. */
export function describeGroup(current: StoredGroupVersion): FeatureGroup {
  return {
    namespace: current.namespace,
    group: current.name,
    description: current.description,
    owner: current.owner,
    tags: current.tags,
    currentVersion: current.currentVersion,
    ...(current.stagedVersion === null ? {} : { stagedVersion: current.stagedVersion }),
    schema: describeVersion(current),
    revision: current.revision,
    createdAt: current.createdAt.toISOString(),
    updatedAt: current.updatedAt.toISOString(),
  };
}

function stateOf({ currentVersion, stagedVersion }: StoredGroup, version: number): FeatureGroupVersion["state"] {
  if (version === currentVersion) return "CURRENT";
  return version === stagedVersion ? "STAGED" : "EARLIER";
}

/** What searches find of a group: itself, and each feature of its current version. */
export function searchEntriesOf(current: StoredGroupVersion): SearchEntry[] {
  const { version, description, owner, tags, definition } = current;
  return [
    { feature: "", version, description, owner, tags },
    ...definition.features.map((feature) => ({
      feature: feature.name,
      version,
      type: feature.type,
      description: feature.description ?? "",
      owner,
      tags: [...new Set([...(feature.tags ?? []), ...tags])],
    })),
  ];
}
