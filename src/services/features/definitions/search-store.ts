import type { Queryable } from "../../../platform/postgres/database.ts";
import type { FeatureType } from "../values/feature-type.ts";
import type { FeatureResourceType } from "./view-model.ts";

/** A group, a view, or a feature of a group, as searches find it. */
export interface SearchEntry {
  /** Empty for the group or view itself. */
  readonly feature: string;
  readonly version: number;
  readonly type?: FeatureType | undefined;
  readonly description: string;
  readonly owner: string;
  readonly tags: readonly string[];
}

const DELETE = "DELETE FROM feature_search WHERE namespace = $1 AND resource = $2 AND resource_type = $3";
const INSERT = `
  INSERT INTO feature_search
    (namespace, resource, resource_type, feature, version, type, description, owner, tags, search_text)
  SELECT $1, $2, $3, e.feature, e.version, e.type, e.description, e.owner, e.tags, e."searchText"
    FROM jsonb_to_recordset($4::jsonb) AS e
      (feature text, version integer, type text, description text, owner text, tags jsonb, "searchText" text)`;

/** Puts `entries` in the place of all that searches find of a group or view; none takes it out. */
export async function replaceSearchEntries(
  transaction: Queryable,
  namespace: string,
  resourceType: FeatureResourceType,
  resource: string,
  entries: readonly SearchEntry[],
): Promise<void> {
  await transaction.query(DELETE, [namespace, resource, resourceType]);
  if (entries.length === 0) return;
  const rows = entries.map((entry) => ({
    ...entry,
    // Lower case as JavaScript knows it, because a database in the C locale knows it for ASCII alone.
    searchText: `${entry.feature || resource}\n${entry.description}`.toLowerCase(),
  }));
  await transaction.query(INSERT, [namespace, resource, resourceType, JSON.stringify(rows)]);
}

const NAMESPACES = `
  SELECT name, bool_or(whole) AS whole FROM (
    SELECT $1::text AS name, true AS whole
    UNION ALL SELECT unnest($2::text[]), true
    UNION ALL SELECT n.name, true FROM namespaces n WHERE n.isolation = 'NONE' OR $3::boolean
    UNION ALL SELECT h.namespace, false FROM feature_shares h JOIN namespaces n ON n.name = h.namespace
     WHERE h.with_namespace = $1 AND n.isolation <> 'STRICT'
  ) AS seen
   WHERE name COLLATE "C" >= $4 AND EXISTS (SELECT FROM feature_search s WHERE s.namespace = name)
   GROUP BY name ORDER BY name COLLATE "C" LIMIT $5`;

export interface SearchedNamespace {
  readonly name: string;
  /** Whether all of it may be seen, or only what is shared. */
  readonly whole: boolean;
}

/** Namespaces with something to find, by name from `fromName` on: the own one, `granted`, open ones, and those that share. */
export async function listSearchedNamespaces(
  database: Queryable,
  namespace: string,
  granted: readonly string[],
  seesAll: boolean,
  fromName: string,
  limit: number,
): Promise<SearchedNamespace[]> {
  const values = [namespace, granted, seesAll, fromName, limit];
  return (await database.query<SearchedNamespace>(NAMESPACES, values)).rows;
}

/** The place of an entry in its namespace. */
export type EntryPlace = readonly [resource: string, resourceType: string, feature: string];

export interface SearchFilter {
  /** LIKE patterns, all of which must match the text in lower case. */
  readonly patterns: readonly string[];
  readonly tag: string | undefined;
  readonly owner: string | undefined;
  readonly type: FeatureType | undefined;
}

export interface ScannedEntry extends SearchEntry {
  readonly resource: string;
  readonly resourceType: FeatureResourceType;
  /** The how manieth it was of those that were looked at. */
  readonly at: number;
  /** False for the last entry that was looked at, where it is answered only to say how far that was. */
  readonly matches: boolean;
}

const SCAN = `
  WITH scanned AS MATERIALIZED (
    SELECT s.*, row_number() OVER (ORDER BY s.resource, s.resource_type, s.feature) AS at
      FROM feature_search s
     WHERE s.namespace = $1 AND (s.resource, s.resource_type, s.feature) > ($2, $3, $4)
     ORDER BY s.resource, s.resource_type, s.feature LIMIT $5
  ), checked AS (
    SELECT scanned.*, (
      search_text LIKE ALL ($6::text[])
      AND ($7::text IS NULL OR tags ? $7)
      AND ($8::text IS NULL OR owner = $8)
      AND ($9::text IS NULL OR type = $9)
      AND ($10::text IS NULL OR EXISTS (
        SELECT FROM feature_shares h
         WHERE h.namespace = scanned.namespace AND h.resource_type = scanned.resource_type
           AND h.resource_name = scanned.resource AND h.with_namespace = $10))
    ) IS TRUE AS matches
      FROM scanned
  )
  SELECT resource, resource_type AS "resourceType", feature, version, type, description, owner, tags, at, matches
    FROM checked WHERE matches OR at = (SELECT max(at) FROM scanned) ORDER BY at LIMIT $11`;

/**
 * Looks at the next `scanLimit` entries of a namespace after `place`, and answers those that match
 * and the last one, but not more than `limit`. `reader` limits it to what is shared with it.
 */
export async function scanEntries(
  database: Queryable,
  namespace: string,
  place: EntryPlace,
  scanLimit: number,
  filter: SearchFilter,
  reader: string | undefined,
  limit: number,
): Promise<ScannedEntry[]> {
  const { patterns, tag, owner, type } = filter;
  const values = [
    namespace,
    ...place,
    scanLimit,
    patterns,
    tag ?? null,
    owner ?? null,
    type ?? null,
    reader ?? null,
    limit,
  ];
  return (await database.query<ScannedEntry>(SCAN, values)).rows;
}
