import { z } from "zod";
import { nextPageTokenField, pageSizeField, pageTokenField } from "../../core/page.ts";
import { durationMs, enumeration, instant, message, nameField, namespaceField, text } from "../../core/schema.ts";
import { BUILT_IN_ROLES, NAMESPACE_PERMISSION_NAMES } from "./permissions.ts";

const MAX_QUOTA = 1_000_000_000;
const MAX_ROLES_PER_KEY = 20;
const MAX_GRACE_MS = 7 * 24 * 60 * 60 * 1000;
const MAX_PRINCIPAL_CHARACTERS = 512;
const PRINCIPAL = /^(key:[0-9a-z]{12}|jwt(-group)?:[\x21-\x22\x24-\x7e]+#[\x20-\x7e]+)$/;

/** One megabyte of the quota `maxStorageMb`. */
export const BYTES_PER_MB = 1024 * 1024;

const displayNameField = text(200).describe("What people call it.");
const descriptionField = text(2000).describe("What it is for.");
const createdAtField = instant("When it was made.");
const updatedAtField = instant("When it was last changed.");
const keyIdField = z
  .string()
  .regex(/^[0-9a-z]{12}$/, { error: "must be the 12 characters of a key's id, a-z and 0-9" })
  .describe("The key's id: the part of its text after `tarl_`.");
const roleField = nameField("A role: `admin`, `operator`, `worker`, `viewer` or a custom one of the namespace.");

const allowed: ReadonlySet<string> = new Set(NAMESPACE_PERMISSION_NAMES);
const permissionsField = z
  .array(
    z
      .string()
      .max(100)
      .refine((name) => allowed.has(name), {
        error: "is not a permission of namespaces; GET /v1/permissions lists them",
      }),
  )
  .min(1)
  .max(100)
  .describe("What the role allows, e.g. `tasks.enqueue`.");

export const Isolation = enumeration("Isolation", "How far a namespace is closed.", {
  STRICT: "Nothing of it can be shared.",
  SHARED: "Others use what it grants them explicitly.",
  NONE: "Every authenticated caller may read it.",
});

export const Quotas = message("NamespaceQuotas", "Limits of a namespace; an absent one is unlimited.", {
  maxWorkflows: z.int().min(0).max(MAX_QUOTA).optional().describe("Workflows under way at once."),
  maxConcurrentExecutions: z.int().min(0).max(MAX_QUOTA).optional().describe("Tasks leased at once."),
  maxQueueDepth: z.int().min(0).max(MAX_QUOTA).optional().describe("Tasks that wait in any one queue."),
  maxStorageMb: z.int().min(0).max(MAX_QUOTA).optional().describe("Payloads and results kept, in units of 2^20 bytes."),
  rateLimitPerMinute: z
    .int()
    .min(1)
    .max(MAX_QUOTA)
    .optional()
    .describe("Requests per minute, of all callers together."),
});

export const Namespace = message("Namespace", "A tenant's own part of the gateway.", {
  name: namespaceField,
  displayName: displayNameField,
  description: descriptionField,
  isolation: Isolation,
  quotas: Quotas,
  revision: z.int().describe("Grows with each change."),
  createdAt: createdAtField,
  updatedAt: updatedAtField,
});
export type Namespace = z.output<typeof Namespace>;

/** What several operations answer with: the namespace as it is now. */
const namespaceNow = { namespace: Namespace.describe("The namespace as it is now.") };
export const CreateNamespaceResponse = message("CreateNamespaceResponse", "The new namespace.", namespaceNow);
export const GetNamespaceResponse = message("GetNamespaceResponse", "The namespace.", namespaceNow);
export const UpdateNamespaceResponse = message("UpdateNamespaceResponse", "The changed namespace.", namespaceNow);

export const CreateNamespaceRequest = message("CreateNamespaceRequest", "A new namespace.", {
  name: namespaceField,
  displayName: displayNameField.optional(),
  description: descriptionField.optional(),
  isolation: Isolation.optional().describe("SHARED where absent."),
  quotas: Quotas.optional().describe("Unlimited where absent."),
});
export type CreateNamespaceRequest = z.output<typeof CreateNamespaceRequest>;

export const GetNamespaceRequest = message("GetNamespaceRequest", "Which namespace.", { namespace: namespaceField });

export const ListNamespacesRequest = message("ListNamespacesRequest", "One page of namespaces, by name.", {
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListNamespacesRequest = z.output<typeof ListNamespacesRequest>;

export const ListNamespacesResponse = message("ListNamespacesResponse", "The namespaces you may see.", {
  namespaces: z.array(Namespace).describe("By name."),
  nextPageToken: nextPageTokenField,
});

export const UpdateNamespaceRequest = message("UpdateNamespaceRequest", "What to change; the rest stays.", {
  namespace: namespaceField,
  displayName: displayNameField.optional(),
  description: descriptionField.optional(),
  isolation: Isolation.optional(),
  quotas: Quotas.optional().describe("Replaces all quotas: one left out becomes unlimited."),
  revision: z.int().min(1).optional().describe("Change it only if it still has this revision."),
});
export type UpdateNamespaceRequest = z.output<typeof UpdateNamespaceRequest>;

export const DeleteNamespaceRequest = message("DeleteNamespaceRequest", "Which namespace to delete.", {
  namespace: namespaceField,
  force: z.boolean().default(false).describe("Delete everything in it as well, for good."),
});
export type DeleteNamespaceRequest = z.output<typeof DeleteNamespaceRequest>;

export const DeleteNamespaceResponse = message("DeleteNamespaceResponse", "What was deleted.", {
  namespace: namespaceField,
});

export const QuotaUsage = message("QuotaUsage", "How much of one quota is used.", {
  used: z.number().describe("What is used now."),
  limit: z.number().optional().describe("The quota; absent where it is unlimited."),
});

export const NamespaceUsage = message("NamespaceUsage", "Quotas of a namespace and how much of each is used.", {
  namespace: namespaceField,
  workflows: QuotaUsage.describe("Workflows under way."),
  concurrentExecutions: QuotaUsage.describe("Tasks leased."),
  queueDepth: QuotaUsage.describe("Tasks that wait in the queue that has most."),
  storageMb: QuotaUsage.describe("Payloads and results kept, in units of 2^20 bytes."),
  requestsPerMinute: QuotaUsage.describe(
    "Requests in the current minute: under a limit those of all gateways, as this one knows them; without one those that came to this gateway.",
  ),
});
export type NamespaceUsage = z.output<typeof NamespaceUsage>;
export const GetNamespaceUsageResponse = message("GetNamespaceUsageResponse", "The namespace's usage.", {
  usage: NamespaceUsage.describe("Quotas, and how much of each is used."),
});

export const ApiKeyState = enumeration("ApiKeyState", "Whether a key opens anything.", {
  ACTIVE: "It does.",
  EXPIRED: "Its time is over.",
  REVOKED: "It was revoked.",
});

export const ApiKey = message("ApiKey", "An API key, without its secret.", {
  keyId: keyIdField,
  namespace: namespaceField,
  displayName: displayNameField,
  roles: z.array(z.string()).describe("Its roles in its own namespace."),
  state: ApiKeyState,
  createdBy: z.string().describe("The principal who made it."),
  createdAt: createdAtField,
  expiresAt: instant("When it ends by itself.").optional(),
  rotatedAt: instant("When its secret was last replaced.").optional(),
  previousSecretValidUntil: instant("How long the secret before is still accepted.").optional(),
  revokedAt: instant("When it was revoked.").optional(),
  lastUsedAt: instant("When it was last used, to about a minute.").optional(),
});
export type ApiKey = z.output<typeof ApiKey>;

const futureField = instant("When it shall end by itself; never where absent.");

export const CreateApiKeyRequest = message("CreateApiKeyRequest", "A new key of the namespace.", {
  namespace: namespaceField,
  displayName: displayNameField.optional(),
  roles: z
    .array(roleField)
    .min(1)
    .max(MAX_ROLES_PER_KEY)
    .describe("What it may do: roles of which you hold every permission."),
  expiresAt: futureField.optional(),
});
export type CreateApiKeyRequest = z.output<typeof CreateApiKeyRequest>;

const apiKeyNow = { apiKey: ApiKey.describe("The key as it is now.") };
const apiKeyWithSecret = {
  ...apiKeyNow,
  secret: z.string().meta({
    secret: true,
    description: "The text to send as `Authorization: Bearer …`. Keep it: it is not shown again.",
  }),
};
export const CreateApiKeyResponse = message("CreateApiKeyResponse", "The new key and its secret.", apiKeyWithSecret);
export const RotateApiKeyResponse = message("RotateApiKeyResponse", "The key and its new secret.", apiKeyWithSecret);
export type ApiKeyWithSecret = z.output<typeof CreateApiKeyResponse>;
export const GetApiKeyResponse = message("GetApiKeyResponse", "The key, without its secret.", apiKeyNow);
export const RevokeApiKeyResponse = message(
  "RevokeApiKeyResponse",
  "The key, which opens nothing any more.",
  apiKeyNow,
);

export const GetApiKeyRequest = message("GetApiKeyRequest", "Which key.", {
  namespace: namespaceField,
  keyId: keyIdField,
});
export type GetApiKeyRequest = z.output<typeof GetApiKeyRequest>;

export const ListApiKeysRequest = message("ListApiKeysRequest", "One page of a namespace's keys.", {
  namespace: namespaceField,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListApiKeysRequest = z.output<typeof ListApiKeysRequest>;

export const ListApiKeysResponse = message("ListApiKeysResponse", "Keys of the namespace, also ended ones.", {
  apiKeys: z.array(ApiKey).describe("By id."),
  nextPageToken: nextPageTokenField,
});

export const RevokeApiKeyRequest = message("RevokeApiKeyRequest", "Which key to end.", {
  namespace: namespaceField,
  keyId: keyIdField,
});

export const RotateApiKeyRequest = message("RotateApiKeyRequest", "Which key gets a new secret.", {
  namespace: namespaceField,
  keyId: keyIdField,
  graceMs: durationMs(0, MAX_GRACE_MS, "How long the old secret is still accepted; not at all where absent.").default(
    0,
  ),
  expiresAt: futureField.optional().describe("When the key shall end by itself from now on; as before where absent."),
});
export type RotateApiKeyRequest = z.output<typeof RotateApiKeyRequest>;

export const Permission = message("Permission", "Something that a role can allow.", {
  name: z.string().describe("Its name, e.g. `tasks.enqueue`."),
  description: z.string().describe("What it allows."),
});

export const ListPermissionsRequest = message("ListPermissionsRequest", "All permissions.", {});
export const ListPermissionsResponse = message("ListPermissionsResponse", "All permissions.", {
  permissions: z.array(Permission).describe("Every permission there is."),
});

export const Role = message("Role", "A named set of permissions.", {
  namespace: namespaceField,
  name: roleField,
  description: descriptionField,
  permissions: z.array(z.string()).describe("What it allows; `*` stands for everything."),
  isBuiltIn: z.boolean().describe("Whether every namespace has it and nobody can change it."),
  createdAt: createdAtField.optional(),
  updatedAt: updatedAtField.optional(),
});
export type Role = z.output<typeof Role>;

const roleNow = { role: Role.describe("The role as it is now.") };
export const CreateRoleResponse = message("CreateRoleResponse", "The new role.", roleNow);
export const GetRoleResponse = message("GetRoleResponse", "The role.", roleNow);
export const UpdateRoleResponse = message("UpdateRoleResponse", "The changed role.", roleNow);

export const CreateRoleRequest = message("CreateRoleRequest", "A new role of the namespace.", {
  namespace: namespaceField,
  name: roleField,
  description: descriptionField.optional(),
  permissions: permissionsField,
});
export type CreateRoleRequest = z.output<typeof CreateRoleRequest>;

export const GetRoleRequest = message("GetRoleRequest", "Which role.", { namespace: namespaceField, role: roleField });
export type GetRoleRequest = z.output<typeof GetRoleRequest>;

export const ListRolesRequest = message("ListRolesRequest", "All roles of a namespace.", { namespace: namespaceField });
export const ListRolesResponse = message("ListRolesResponse", "All roles of a namespace.", {
  roles: z.array(Role).describe("The built-in ones first, then by name."),
});

export const UpdateRoleRequest = message("UpdateRoleRequest", "What to change; the rest stays.", {
  namespace: namespaceField,
  role: roleField,
  description: descriptionField.optional(),
  permissions: permissionsField.optional().describe("Replaces all permissions of the role."),
});
export type UpdateRoleRequest = z.output<typeof UpdateRoleRequest>;

export const DeleteRoleRequest = message("DeleteRoleRequest", "Which role to delete.", {
  namespace: namespaceField,
  role: roleField,
});
export const DeleteRoleResponse = message("DeleteRoleResponse", "What was deleted.", { role: roleField });

const principalIdField = z
  .string()
  .max(MAX_PRINCIPAL_CHARACTERS)
  .regex(PRINCIPAL, { error: "must be `key:<key id>`, `jwt:<issuer>#<subject>` or `jwt-group:<issuer>#<group>`" })
  .describe(
    "`key:<key id>` or `jwt:<issuer>#<subject>`, as whoAmI says it, or `jwt-group:<issuer>#<group>` for all whose tokens name that group.",
  );

export const RoleBinding = message("RoleBinding", "Gives a principal a role in a namespace.", {
  bindingId: z.uuid().describe("Its id."),
  namespace: namespaceField,
  principalId: z.string().describe("Who has the role."),
  role: roleField,
  createdBy: z.string().describe("The principal who made it."),
  createdAt: createdAtField,
});
export type RoleBinding = z.output<typeof RoleBinding>;
export const CreateRoleBindingResponse = message("CreateRoleBindingResponse", "The new binding.", {
  roleBinding: RoleBinding.describe("The binding."),
});

export const CreateRoleBindingRequest = message("CreateRoleBindingRequest", "Who gets which role.", {
  namespace: namespaceField,
  principalId: principalIdField,
  role: roleField,
});
export type CreateRoleBindingRequest = z.output<typeof CreateRoleBindingRequest>;

export const ListRoleBindingsRequest = message("ListRoleBindingsRequest", "One page of a namespace's bindings.", {
  namespace: namespaceField,
  principalId: principalIdField.optional().describe("Only those of this principal."),
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListRoleBindingsRequest = z.output<typeof ListRoleBindingsRequest>;

export const ListRoleBindingsResponse = message("ListRoleBindingsResponse", "Who has which role.", {
  roleBindings: z.array(RoleBinding).describe("In the order in which they were made."),
  nextPageToken: nextPageTokenField,
});

export const DeleteRoleBindingRequest = message("DeleteRoleBindingRequest", "Which binding to delete.", {
  namespace: namespaceField,
  bindingId: z.uuid({ error: "must be a UUID" }).toLowerCase().describe("Its id."),
});
export type DeleteRoleBindingRequest = z.output<typeof DeleteRoleBindingRequest>;

export const DeleteRoleBindingResponse = message("DeleteRoleBindingResponse", "What was deleted.", {
  bindingId: z.uuid().describe("Its id."),
});

export const GatewayRoleBinding = message(
  "GatewayRoleBinding",
  "Gives a principal a role in the whole gateway: in every namespace, and for what belongs to none.",
  {
    bindingId: z.uuid().describe("Its id."),
    principalId: z.string().describe("Who has the role."),
    role: roleField,
    createdBy: z.string().describe("The principal who made it."),
    createdAt: createdAtField,
  },
);
export type GatewayRoleBinding = z.output<typeof GatewayRoleBinding>;
export const CreateGatewayRoleBindingResponse = message("CreateGatewayRoleBindingResponse", "The new binding.", {
  roleBinding: GatewayRoleBinding.describe("The binding."),
});

export const CreateGatewayRoleBindingRequest = message("CreateGatewayRoleBindingRequest", "Who gets which role.", {
  principalId: principalIdField,
  role: nameField("A built-in role: `admin`, `operator`, `worker` or `viewer`.").refine(
    (name) => BUILT_IN_ROLES.has(name),
    { error: "must be a built-in role: admin, operator, worker or viewer; custom ones belong to their namespace" },
  ),
});
export type CreateGatewayRoleBindingRequest = z.output<typeof CreateGatewayRoleBindingRequest>;

export const ListGatewayRoleBindingsRequest = message(
  "ListGatewayRoleBindingsRequest",
  "One page of the bindings of the whole gateway.",
  {
    principalId: principalIdField.optional().describe("Only those of this principal."),
    pageSize: pageSizeField,
    pageToken: pageTokenField,
  },
);
export type ListGatewayRoleBindingsRequest = z.output<typeof ListGatewayRoleBindingsRequest>;

export const ListGatewayRoleBindingsResponse = message(
  "ListGatewayRoleBindingsResponse",
  "Who has which role in the whole gateway.",
  {
    roleBindings: z.array(GatewayRoleBinding).describe("In the order in which they were made."),
    nextPageToken: nextPageTokenField,
  },
);

export const DeleteGatewayRoleBindingRequest = message("DeleteGatewayRoleBindingRequest", "Which binding to delete.", {
  bindingId: z.uuid({ error: "must be a UUID" }).toLowerCase().describe("Its id."),
});
export type DeleteGatewayRoleBindingRequest = z.output<typeof DeleteGatewayRoleBindingRequest>;

export const DeleteGatewayRoleBindingResponse = message("DeleteGatewayRoleBindingResponse", "What was deleted.", {
  bindingId: z.uuid().describe("Its id."),
});
