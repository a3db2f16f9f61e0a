export { createFailoverLeaseStore, type FailoverLeaseStore } from "./failover-lease-store.ts";
export { createLeaseResourceStore } from "./lease-resource-store.ts";
export { createLeaseService, type LeaseService } from "./lease-service.ts";
export type { KnownLease, LeaseGrant, LeaseName, LeaseStore, MergeableLeaseStore } from "./lease-store.ts";
export { createLeaseSweeper } from "./lease-sweeper.ts";
export { leaseMigrations } from "./migrations.ts";
export { leaseOperations } from "./operations.ts";
export { createPostgresLeaseStore } from "./postgres-lease-store.ts";
export { createRedisLeaseStore } from "./redis-lease-store.ts";
