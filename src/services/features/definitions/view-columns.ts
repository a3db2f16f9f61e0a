import { type FieldViolation, invalidArgument } from "../../../core/errors.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import type { NamespaceDirectory } from "../../tenancy/index.ts";
import { parseFeatureReference, resourceKey, resourceText } from "./references.ts";
import { listSharedGroups } from "./share-store.ts";
import type { FeatureViewMember } from "./view-model.ts";
import { lockSources, type SourceVersion, type StoredColumn } from "./view-store.ts";

type Member = FeatureViewMember & { readonly reference: ReturnType<typeof parseFeatureReference> };

/** What a view takes in, read but not yet looked up. */
export interface ParsedMembers {
  readonly namespace: string;
  readonly members: readonly Member[];
  /** Other namespaces that everybody may read, and those that can share. */
  readonly open: ReadonlySet<string>;
  readonly sharing: ReadonlySet<string>;
}

/** Reads the references, and asks how isolated the namespaces are that they name: outside of a transaction. */
export async function parseMembers(
  directory: NamespaceDirectory,
  namespace: string,
  given: readonly FeatureViewMember[],
): Promise<ParsedMembers> {
  const members = given.map((member, index) => ({
    ...member,
    reference: parseFeatureReference(namespace, member.feature, `features[${index}].feature`),
  }));
  const others = new Set(members.map(({ reference }) => reference.group.namespace));
  others.delete(namespace);
  const scopes = await Promise.all([...others].map((name) => directory.get(name)));
  const named = (isolation: string) =>
    new Set(scopes.flatMap((scope) => (scope?.isolation === isolation ? scope.name : [])));
  return { namespace, members, open: named("NONE"), sharing: named("SHARED") };
}

/**
 * Finds every feature and pins it to the version of its group that is named or else current.
 * Refuses, all at once, what is not there or not shared, and columns that would be in each other's way.
 */
export async function resolveMembers(transaction: Queryable, parsed: ParsedMembers): Promise<StoredColumn[]> {
  const { namespace, members } = parsed;
  const sources = await readableSources(transaction, parsed);
  const problems: FieldViolation[] = [];
  const columns: StoredColumn[] = [];
  for (const [index, { reference, alias }] of members.entries()) {
    const { group, feature: name } = reference;
    const source = sources.get(resourceKey(group));
    const feature = source?.definition.features.find((one) => one.name === name);
    if (source === undefined || feature === undefined) {
      const what = source ? `feature "${name}" in group` : "feature group";
      const message = `there is no ${what} "${resourceText(namespace, group)}" that this namespace can read`;
      problems.push({ field: `features[${index}].feature`, message });
      continue;
    }
    const { groupId, version } = source;
    const pinned = { namespace: source.namespace, group: source.name, groupId, version, feature: name };
    columns[index] = { name: alias ?? name, ...pinned, type: feature.type };
  }
  problems.push(...clashes(members, columns, [...sources.values()]));
  if (problems.length > 0) throw invalidArgument(problems);
  return columns;
}

/** The versions of groups that are there and may be read, by what they were referred to. */
async function readableSources(
  transaction: Queryable,
  { namespace, members, open, sharing }: ParsedMembers,
): Promise<Map<string, SourceVersion>> {
  const wanted = new Map(members.map(({ reference: { group } }) => [resourceKey(group), group]));
  const foreign = [...wanted.values()].filter((group) => sharing.has(group.namespace));
  const shared = foreign.length > 0 ? await listSharedGroups(transaction, namespace, foreign) : [];
  const isShared = new Set(shared.map((group) => `${group.namespace}/${group.name}`));
  const readable = [...wanted].filter(
    ([, group]) =>
      group.namespace === namespace || open.has(group.namespace) || isShared.has(`${group.namespace}/${group.name}`),
  );
  const rows = await lockSources(
    transaction,
    readable.map(([, group]) => group),
  );
  const found = new Map<string, SourceVersion>();
  for (const row of rows) {
    found.set(resourceKey(row), row);
    if (row.version === row.currentVersion) found.set(resourceKey({ ...row, version: undefined }), row);
  }
  return new Map(readable.flatMap(([key]) => (found.has(key) ? [[key, found.get(key)!]] : [])));
}

/** Columns of one name, also where the other one is an entity key, and entity keys of one name and two types. */
function clashes(
  members: readonly Member[],
  columns: readonly StoredColumn[],
  sources: readonly SourceVersion[],
): FieldViolation[] {
  const problems: FieldViolation[] = [];
  const keys = new Map<string, { readonly type: string; readonly group: string }>();
  for (const { name: group, definition } of sources) {
    for (const { name, type } of definition.entityKeys) {
      const other = keys.get(name);
      if (other === undefined) keys.set(name, { type, group });
      else if (other.type !== type) {
        const message = `the entity key "${name}" is ${other.type} in group "${other.group}" and ${type} in "${group}", so one read cannot give both`;
        problems.push({ field: "features", message });
      }
    }
  }
  const takenBy = new Map<string, number>();
  for (const [index, column] of columns.entries()) {
    if (column === undefined) continue;
    const field = `features[${index}].alias`;
    const first = takenBy.get(column.name);
    const key = keys.get(column.name);
    const mend = members[index]!.alias === undefined ? "give it an alias" : "give it another alias";
    if (first !== undefined) {
      problems.push({ field, message: `"${column.name}" is the name of features[${first}] too; ${mend}` });
    } else if (key !== undefined) {
      problems.push({ field, message: `"${column.name}" is an entity key of group "${key.group}"; ${mend}` });
    } else takenBy.set(column.name, index);
  }
  return problems;
}
