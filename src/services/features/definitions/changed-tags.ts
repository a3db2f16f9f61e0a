import { invalidArgument } from "../../../core/errors.ts";

/** The tags that something has after an update that asked for this. */
export function changedTags(
  known: readonly string[],
  { tags, clearTags }: { readonly tags?: readonly string[] | undefined; readonly clearTags: boolean },
): readonly string[] {
  if (clearTags && tags !== undefined) {
    throw invalidArgument([{ field: "clearTags", message: "must not be true where tags are given" }]);
  }
  return clearTags ? [] : [...new Set(tags ?? known)];
}
