export { SYSTEM_OPERATIONS } from "./operations.ts";
export { createSystemService, type SystemService } from "./system-service.ts";
