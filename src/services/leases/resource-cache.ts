import type { LeaseResource } from "./lease-resource-store.ts";

const MAX_CACHED_RESOURCES = 10_000;

/**
 * Remembers rows under their fences, so that heartbeats leave Postgres alone. What a row says of one
 * fence does not change but for `held`, for which the lease store's answer stands, and its revision.
 */
export function createResourceCache() {
  const byName = new Map<string, LeaseResource>();
  const id = (namespace: string, name: string) => `${namespace}/${name}`;
  return {
    get(namespace: string, name: string, fence: number): LeaseResource | undefined {
      const resource = byName.get(id(namespace, name));
      return resource?.fence === fence ? resource : undefined;
    },
    set(resource: LeaseResource): void {
      byName.set(id(resource.namespace, resource.name), resource);
      const oldest = byName.size > MAX_CACHED_RESOURCES ? byName.keys().next().value : undefined;
      if (oldest !== undefined) byName.delete(oldest);
    },
    delete(namespace: string, name: string): void {
      byName.delete(id(namespace, name));
    },
  };
}
