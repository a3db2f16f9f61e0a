import type { AnyEdge } from "./core/edge.ts";
import type { AnyOperation } from "./core/operation.ts";
import { featureEdges, featureOperations } from "./services/features/index.ts";
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
  ...featureOperations,
];

/** The relations between GraphQL types. */
export const edges: readonly AnyEdge[] = [...taskEdges, ...featureEdges];

/** What each gRPC service, which is a tag in OpenAPI, is for. */
export const services: Readonly<Record<string, string>> = {
  SystemService: "What this gateway is, and who the caller is to it.",
  NamespaceService:
    "Namespaces: the tenants of a gateway. Tasks, leases, keys and roles belong to one, and its quotas and isolation bound them.",
  ApiKeyService: "API keys: the credentials of callers. A secret is shown once, when it is made or rotated.",
  RoleService:
    "Roles: named sets of permissions, bound to principals in a namespace. Nobody can grant what they do not hold.",
  LeaseService:
    "Leases on names of the caller's own choosing, for what only one may do at a time. Each acquisition has a higher fence than the last.",
  TaskService:
    "Durable tasks: enqueued once acknowledged, leased to workers under a fence, tried again when they fail, and kept as dead letters when they fail for good.",
  QueueService: "Queues: their settings and limits, their figures, and pausing and resuming them.",
  WorkerService: "Workers: the processes that lease tasks, what they can do, and whether they are alive.",
  FeatureService:
    "Features: groups with typed, versioned schemas, views that list what a model reads, sharing between namespaces, and search.",
  FeatureFileService: "Files with rows of features, on their way in and out: uploaded in parts, and read back.",
  FeatureJobService:
    "Work on many rows of features that goes on when a gateway dies: imports, exports, and rebuilding the online store.",
};
