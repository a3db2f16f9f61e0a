import type { AnyEdge } from "./core/edge.ts";
import type { AnyOperation } from "./core/operation.ts";
import { leaseOperations } from "./services/leases/index.ts";
import { SYSTEM_OPERATIONS } from "./services/system/index.ts";
import { taskEdges, taskOperations } from "./services/tasks/index.ts";
import { TENANCY_OPERATIONS } from "./services/tenancy/index.ts";

/** Everything the gateway does. The contracts are emitted from this list, and the transports serve it. */
export const operations: readonly AnyOperation[] = [
  ...SYSTEM_OPERATIONS,
  ...TENANCY_OPERATIONS,
  ...leaseOperations,
  ...taskOperations,
];

/** The relations between GraphQL types. */
export const edges: readonly AnyEdge[] = [...taskEdges];
