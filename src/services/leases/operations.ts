import { operation } from "../../core/operation.ts";
import type { LeaseService } from "./lease-service.ts";
import * as model from "./model.ts";

interface Leases {
  readonly leases: LeaseService;
}

const oneLease = "/v1/namespaces/{namespace}/leases/{leaseName}";

export const acquireLease = operation({
  name: "leases.acquire",
  summary: "Acquires a lease, and waits for it up to waitMs where somebody else holds it.",
  description:
    "Every acquisition gets a higher fence. A holder that acquires what it holds keeps its fence, and its lease lasts for ttlMs from now. " +
    "ABORTED with reason LEASE_HELD says that another holder has it, and when to try again.",
  rest: `POST ${oneLease}:acquire`,
  grpc: "LeaseService/AcquireLease",
  graphql: "mutation acquireLease",
  permission: "leases.write",
  input: model.AcquireLeaseRequest,
  output: model.AcquireLeaseResponse,
  handle: async ({ leases }: Leases, input, call) => ({ lease: await leases.acquire(input, call) }),
});

export const heartbeatLease = operation({
  name: "leases.heartbeat",
  summary: "Extends a lease that the caller holds.",
  description: "ABORTED with reason LEASE_LOST says that it ended, or that somebody else has acquired it since.",
  rest: `POST ${oneLease}:heartbeat`,
  grpc: "LeaseService/HeartbeatLease",
  graphql: "mutation heartbeatLease",
  permission: "leases.write",
  input: model.HeartbeatLeaseRequest,
  output: model.HeartbeatLeaseResponse,
  handle: async ({ leases }: Leases, input) => ({ lease: await leases.heartbeat(input) }),
});

export const releaseLease = operation({
  name: "leases.release",
  summary: "Gives a lease back, so that the next one can have it at once.",
  description:
    "Releasing twice with the same fence answers the same. ABORTED with reason LEASE_LOST says that somebody else has acquired it since.",
  rest: `POST ${oneLease}:release`,
  grpc: "LeaseService/ReleaseLease",
  graphql: "mutation releaseLease",
  permission: "leases.write",
  input: model.ReleaseLeaseRequest,
  output: model.ReleaseLeaseResponse,
  handle: async ({ leases }: Leases, input) => ({ lease: await leases.release(input) }),
});

export const getLease = operation({
  name: "leases.get",
  summary: "Answers one lease: who holds it, and until when.",
  rest: `GET ${oneLease}`,
  grpc: "LeaseService/GetLease",
  graphql: "query lease",
  permission: "leases.read",
  input: model.GetLeaseRequest,
  output: model.GetLeaseResponse,
  handle: async ({ leases }: Leases, { namespace, leaseName }) => ({ lease: await leases.get(namespace, leaseName) }),
});

export const listLeases = operation({
  name: "leases.list",
  summary: "Answers a page of leases, by name.",
  rest: "GET /v1/namespaces/{namespace}/leases",
  grpc: "LeaseService/ListLeases",
  graphql: "query leases",
  permission: "leases.read",
  input: model.ListLeasesRequest,
  output: model.ListLeasesResponse,
  handle: ({ leases }: Leases, input) => leases.list(input),
});

/** Everything clients can do with leases. */
export const leaseOperations = [acquireLease, heartbeatLease, releaseLease, getLease, listLeases] as const;
