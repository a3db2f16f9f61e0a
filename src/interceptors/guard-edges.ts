import type { Call } from "../core/call.ts";
import type { AnyEdge } from "../core/edge.ts";
import { isAllowed } from "../services/tenancy/index.ts";
import { compileRedaction } from "./visible-fields.ts";

/** Whether the caller may do `permission` in the namespace of a relation's parent. */
export function mayFollow(call: Call, permission: string, namespace: string): boolean {
  return isAllowed(call.principal, permission, scopeOf(call, namespace));
}

/** The same relations, with the fields taken out that their caller may not see: what the dispatcher does for operations. */
export function guardEdges(edges: readonly AnyEdge[]): readonly AnyEdge[] {
  return edges.map((edge) => {
    const redact = compileRedaction(edge.schema);
    if (redact === undefined) return edge;
    return {
      ...edge,
      async load(services, parents, args, call) {
        const loaded = await edge.load(services, parents, args, call);
        return loaded.map((value, index) => {
          const isVisible = (permission: string) => mayFollow(call, permission, parents[index]?.namespace ?? "");
          if (value === null || value instanceof Error) return value;
          return Array.isArray(value) ? value.map((item) => redact(item, isVisible)) : redact(value, isVisible);
        });
      },
    };
  });
}

/** Outside of the call's own namespace, only what was granted by name counts. */
function scopeOf({ namespace }: Call, name: string) {
  return namespace?.name === name ? namespace : { name, isolation: "STRICT" as const, quotas: {} };
}
