import { AppError } from "../../../core/errors.ts";

/** A group or view of that name is there already. */
export function nameTaken(what: "feature group" | "feature view", name: string): AppError {
  const reason = what === "feature group" ? "FEATURE_GROUP_EXISTS" : "FEATURE_VIEW_EXISTS";
  return new AppError(
    "ALREADY_EXISTS",
    reason,
    `There is a ${what} "${name}" already. Choose another name, or change that one.`,
  );
}

/** It was changed since the caller read it. */
export function revisionMismatch(what: string, name: string, revision: number): AppError {
  return new AppError(
    "ABORTED",
    "REVISION_MISMATCH",
    `The ${what} "${name}" has been changed since you read it: it is at revision ${revision}. Read it again and repeat the change.`,
    { details: { metadata: { revision: String(revision) } } },
  );
}

/** Views read the group: without it they would read nothing. `uses` names some of them. */
export function groupInUse(group: string, uses: readonly string[], andMore: boolean): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "FEATURE_GROUP_IN_USE",
    `The feature group "${group}" is read by these views: ${uses.join(", ")}${andMore ? " and more" : ""}. Delete them first; listing its uses names them all.`,
    { details: { metadata: { uses: uses.join(", ") } } },
  );
}

/** The rows that are there could not be read under the new schema. */
export function schemaIncompatible(group: string, reasons: readonly string[]): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "SCHEMA_INCOMPATIBLE",
    `The rows of "${group}" could not be read under this schema: ${reasons.join("; ")}. Mend it, or send allowIncompatible to make a version that begins without rows.`,
    { details: { metadata: { group } } },
  );
}

/** A strict namespace shares nothing. */
export function namespaceStrict(namespace: string): AppError {
  return new AppError(
    "FAILED_PRECONDITION",
    "NAMESPACE_STRICT",
    `Namespace "${namespace}" is STRICT, so nothing of it can be shared. Change its isolation first.`,
  );
}

/** Versions stay for good, so their number is bounded. */
export function tooManyVersions(what: string, name: string, limit: number): AppError {
  return new AppError(
    "RESOURCE_EXHAUSTED",
    "TOO_MANY_VERSIONS",
    `The ${what} "${name}" has ${limit} versions, which is the most there can be. Make another one under a new name.`,
  );
}
