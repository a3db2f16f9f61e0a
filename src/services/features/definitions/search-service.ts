import { z } from "zod";
import { createPageTokens } from "../../../core/page.ts";
import { GATEWAY_SCOPE, isPermitted, type Principal } from "../../../core/principal.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import {
  type EntryPlace,
  listSearchedNamespaces,
  type ScannedEntry,
  type SearchedNamespace,
  type SearchFilter,
  scanEntries,
} from "./search-store.ts";
import type { FoundFeature, SearchFeaturesRequest } from "./view-model.ts";

/** Finds groups, views and features across all that the caller may see. */
export interface FeatureSearch {
  search(
    request: SearchFeaturesRequest,
    principal: Principal,
  ): Promise<{ found: FoundFeature[]; nextPageToken?: string }>;
}

export interface FeatureSearchOptions {
  readonly database: Database;
  /** What one page may look at; a search that has not found enough by then goes on with the next page. */
  readonly maxScanned?: number;
  readonly maxNamespaces?: number;
}

const MAX_SCANNED = 10_000;
const MAX_NAMESPACES = 50;

const Place = z.tuple([z.string().max(63), z.string().max(63), z.string().max(63), z.string().max(63)]);
const START: EntryPlace = ["", "", ""];

export function createFeatureSearch(options: FeatureSearchOptions): FeatureSearch {
  const { database, maxScanned = MAX_SCANNED, maxNamespaces = MAX_NAMESPACES } = options;

  return {
    async search({ namespace, text, tag, owner, type, pageSize, pageToken }, principal) {
      const tokens = createPageTokens(Place, ["features.search", namespace, text, tag, owner, type]);
      const from = tokens.decode(pageToken) ?? ["", ...START];
      const filter = { patterns: likePatterns(text), tag, owner, type };
      const spaces = await visibleTo(database, namespace, principal, from[0], maxNamespaces + 1);
      const beyond = spaces[maxNamespaces];
      const found: FoundFeature[] = [];
      let budget = maxScanned;
      for (const space of spaces.slice(0, maxNamespaces)) {
        const place: EntryPlace = space.name === from[0] ? [from[1], from[2], from[3]] : START;
        const room = pageSize - found.length;
        if (budget === 0 || room === 0) return { found, nextPageToken: tokens.encode([space.name, ...place]) };
        const reader = space.whole ? undefined : namespace;
        const scan = await scanNamespace(database, space.name, place, filter, reader, budget, room);
        found.push(...scan.found.map((entry) => describe(namespace, space.name, entry)));
        if (scan.next) return { found, nextPageToken: tokens.encode([space.name, ...scan.next]) };
        budget -= scan.scanned;
      }
      return beyond ? { found, nextPageToken: tokens.encode([beyond.name, ...START]) } : { found };
    },
  };
}

function visibleTo(
  database: Database,
  namespace: string,
  principal: Principal,
  from: string,
  limit: number,
): Promise<SearchedNamespace[]> {
  const seesAll = isPermitted(principal, "features.read", GATEWAY_SCOPE);
  const granted = [...principal.grants.keys()].filter(
    (name) => name !== GATEWAY_SCOPE && isPermitted(principal, "features.read", name),
  );
  return listSearchedNamespaces(database, namespace, granted, seesAll, from, limit);
}

interface Scan {
  readonly found: readonly ScannedEntry[];
  readonly scanned: number;
  /** Where to go on, unless all of the namespace was looked at. */
  readonly next: EntryPlace | undefined;
}

/** Looks at up to `budget` entries of one namespace for up to `room` that match. */
async function scanNamespace(
  database: Database,
  namespace: string,
  place: EntryPlace,
  filter: SearchFilter,
  reader: string | undefined,
  budget: number,
  room: number,
): Promise<Scan> {
  const rows = await scanEntries(database, namespace, place, budget, filter, reader, room + 1);
  const matching = rows.filter(({ matches }) => matches);
  const found = matching.slice(0, room);
  const scanned = rows.at(-1)?.at ?? 0;
  const stoppedAt = matching.length > room ? found.at(-1) : scanned === budget ? rows.at(-1) : undefined;
  return { found, scanned, next: stoppedAt && [stoppedAt.resource, stoppedAt.resourceType, stoppedAt.feature] };
}

/** One pattern for each word; what LIKE gives a meaning to stands for itself. */
function likePatterns(text = ""): string[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return words.map((word) => `%${word.replace(/[\\%_]/g, "\\$&")}%`);
}

function describe(reader: string, namespace: string, entry: ScannedEntry): FoundFeature {
  const { resourceType, resource, version, feature, type, description, owner, tags } = entry;
  const name = namespace === reader ? resource : `${namespace}/${resource}`;
  return {
    namespace,
    resourceType,
    resource,
    version,
    ...(feature ? { feature } : {}),
    ...(type ? { type } : {}),
    description,
    owner,
    tags: [...tags],
    reference: feature ? `${name}:${feature}` : name,
  };
}
