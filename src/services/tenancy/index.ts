export { canSeeNamespace, isAllowed, permissionDenied } from "./access.ts";
export { type AdminKeyOptions, createAdminKey, ensureAdminKey } from "./admin-key.ts";
export type { Authenticator } from "./authenticator.ts";
export type { JwtIssuer } from "./jwt-authenticator.ts";
export type { KeyService } from "./key-service.ts";
export { TENANCY_MIGRATIONS } from "./migrations.ts";
export { BYTES_PER_MB } from "./model.ts";
export type { NamespaceDirectory } from "./namespace-directory.ts";
export type {
  EmptinessCheck,
  NamespacePurger,
  NamespaceService,
  UsageFigures,
  UsageSource,
} from "./namespace-service.ts";
export { TENANCY_OPERATIONS } from "./operations.ts";
export { PERMISSION_NAMES, PERMISSIONS, type Permission } from "./permissions.ts";
export type { RoleService } from "./role-service.ts";
export { createTenancy, type Tenancy, type TenancyOptions } from "./tenancy.ts";
