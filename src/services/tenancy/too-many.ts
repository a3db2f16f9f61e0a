import { AppError } from "../../core/errors.ts";

/** RESOURCE_EXHAUSTED for a namespace, or for the whole gateway where that is null, that may have no more of something. */
export function tooMany(reason: string, namespace: string | null, what: string): AppError {
  const place = namespace === null ? "The gateway" : `Namespace "${namespace}"`;
  const subject = namespace === null ? "gateway" : `namespaces/${namespace}`;
  return new AppError("RESOURCE_EXHAUSTED", reason, `${place} may have ${what}. Delete some first.`, {
    details: { quota: { subject, description: `at most ${what}` } },
  });
}
