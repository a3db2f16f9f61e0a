import { KEY_OPERATIONS } from "./key-operations.ts";
import { NAMESPACE_OPERATIONS } from "./namespace-operations.ts";
import { ROLE_OPERATIONS } from "./role-operations.ts";

/** Every operation of namespaces, keys and roles. */
export const TENANCY_OPERATIONS = [...NAMESPACE_OPERATIONS, ...KEY_OPERATIONS, ...ROLE_OPERATIONS] as const;
