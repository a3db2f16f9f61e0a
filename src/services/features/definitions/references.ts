import { invalidArgument } from "../../../core/errors.ts";

/** What a version of a group or view is called where it is read; `version` undefined is the current one. */
export interface ResourceReference {
  readonly namespace: string;
  readonly name: string;
  readonly version: number | undefined;
}

export interface FeatureReference {
  readonly group: ResourceReference;
  readonly feature: string;
}

const RESOURCE = /^(?:([a-z0-9][a-z0-9._-]*)\/)?([a-z0-9][a-z0-9._-]*?)(?:@v([1-9][0-9]{0,6}))?$/;

/** Reads `name`, `name@v2` or `namespace/name@v2` as somebody in `namespace` means it. */
export function parseResource(namespace: string, text: string, field: string): ResourceReference {
  const found = RESOURCE.exec(text);
  if (!found) throw invalidArgument([{ field, message: "must be `name`, `name@v2` or `namespace/name@v2`" }]);
  const [, owner, name, version] = found;
  return {
    namespace: owner ?? namespace,
    name: name!,
    version: version === undefined ? undefined : Number(version),
  };
}

/** Reads `group:feature`, `group@v3:feature` or `namespace/group:feature`. */
export function parseFeatureReference(namespace: string, text: string, field: string): FeatureReference {
  const colon = text.indexOf(":");
  return { group: parseResource(namespace, text.slice(0, colon), field), feature: text.slice(colon + 1) };
}

/** One text for each resource: what `parseResource` reads, always with its namespace. */
export function resourceKey({ namespace, name, version }: ResourceReference): string {
  return version === undefined ? `${namespace}/${name}` : `${namespace}/${name}@v${version}`;
}

/** What somebody in `namespace` calls a resource, e.g. in an error. */
export function resourceText(namespace: string, reference: ResourceReference): string {
  const key = resourceKey(reference);
  return reference.namespace === namespace ? key.slice(namespace.length + 1) : key;
}
