import { operation } from "../../core/operation.ts";
import {
  CreateGatewayRoleBindingRequest,
  CreateGatewayRoleBindingResponse,
  CreateRoleBindingRequest,
  CreateRoleBindingResponse,
  CreateRoleRequest,
  CreateRoleResponse,
  DeleteGatewayRoleBindingRequest,
  DeleteGatewayRoleBindingResponse,
  DeleteRoleBindingRequest,
  DeleteRoleBindingResponse,
  DeleteRoleRequest,
  DeleteRoleResponse,
  GetRoleRequest,
  GetRoleResponse,
  ListGatewayRoleBindingsRequest,
  ListGatewayRoleBindingsResponse,
  ListPermissionsRequest,
  ListPermissionsResponse,
  ListRoleBindingsRequest,
  ListRoleBindingsResponse,
  ListRolesRequest,
  ListRolesResponse,
  UpdateRoleRequest,
  UpdateRoleResponse,
} from "./model.ts";
import { PERMISSIONS } from "./permissions.ts";
import type { RoleService } from "./role-service.ts";

interface Services {
  readonly roles: RoleService;
}

const ALL = Object.freeze(Object.entries(PERMISSIONS).map(([name, description]) => ({ name, description })));

export const listPermissions = operation({
  name: "permissions.list",
  summary: "Lists every permission there is, with what it allows.",
  rest: "GET /v1/permissions",
  grpc: "RoleService/ListPermissions",
  graphql: "query permissions",
  permission: "",
  input: ListPermissionsRequest,
  output: ListPermissionsResponse,
  handle: () => ({ permissions: [...ALL] }),
});

export const createRole = operation({
  name: "roles.create",
  summary: "Creates a role of permissions that the caller holds.",
  description:
    "ALREADY_EXISTS with reason ROLE_EXISTS where the name is taken; PERMISSION_DENIED with reason PERMISSION_ESCALATION where the caller does not hold all of it.",
  rest: "POST /v1/namespaces/{namespace}/roles",
  grpc: "RoleService/CreateRole",
  graphql: "mutation createRole",
  permission: "roles.manage",
  input: CreateRoleRequest,
  output: CreateRoleResponse,
  handle: async ({ roles }: Services, input, call) => ({ role: await roles.create(input, call.principal) }),
});

export const getRole = operation({
  name: "roles.get",
  summary: "Answers one role, built in or custom.",
  rest: "GET /v1/namespaces/{namespace}/roles/{role}",
  grpc: "RoleService/GetRole",
  graphql: "query role",
  permission: "roles.read",
  input: GetRoleRequest,
  output: GetRoleResponse,
  handle: async ({ roles }: Services, input) => ({ role: await roles.get(input) }),
});

export const listRoles = operation({
  name: "roles.list",
  summary: "Lists the roles of a namespace, the built-in ones first.",
  rest: "GET /v1/namespaces/{namespace}/roles",
  grpc: "RoleService/ListRoles",
  graphql: "query roles",
  permission: "roles.read",
  input: ListRolesRequest,
  output: ListRolesResponse,
  handle: ({ roles }: Services, { namespace }) => roles.list(namespace),
});

export const updateRole = operation({
  name: "roles.update",
  summary: "Changes a custom role for all who have it; what is left out stays as it is.",
  description:
    "PERMISSION_DENIED with reason PERMISSION_ESCALATION where the caller does not hold all that is added or taken away.",
  rest: "PATCH /v1/namespaces/{namespace}/roles/{role}",
  grpc: "RoleService/UpdateRole",
  graphql: "mutation updateRole",
  permission: "roles.manage",
  input: UpdateRoleRequest,
  output: UpdateRoleResponse,
  handle: async ({ roles }: Services, input, call) => ({ role: await roles.update(input, call.principal) }),
});

export const deleteRole = operation({
  name: "roles.delete",
  summary: "Deletes a custom role that nobody has.",
  description:
    "FAILED_PRECONDITION with reason ROLE_IN_USE while somebody is bound to it; PERMISSION_DENIED with reason PERMISSION_ESCALATION where it allows what the caller does not hold.",
  rest: "DELETE /v1/namespaces/{namespace}/roles/{role}",
  grpc: "RoleService/DeleteRole",
  graphql: "mutation deleteRole",
  permission: "roles.manage",
  input: DeleteRoleRequest,
  output: DeleteRoleResponse,
  handle: ({ roles }: Services, input, call) => roles.delete(input, call.principal),
});

export const createRoleBinding = operation({
  name: "roles.bind",
  summary: "Gives a principal a role in a namespace.",
  description:
    "FAILED_PRECONDITION with reason NAMESPACE_STRICT where the key or the namespace may not be shared; PERMISSION_DENIED with reason PERMISSION_ESCALATION where the caller does not hold all that the role allows.",
  rest: "POST /v1/namespaces/{namespace}/roleBindings",
  grpc: "RoleService/CreateRoleBinding",
  graphql: "mutation createRoleBinding",
  permission: "roles.manage",
  input: CreateRoleBindingRequest,
  output: CreateRoleBindingResponse,
  handle: async ({ roles }: Services, input, call) => ({ roleBinding: await roles.bind(input, call.principal) }),
});

export const listRoleBindings = operation({
  name: "roles.listBindings",
  summary: "Lists who has which role in a namespace.",
  rest: "GET /v1/namespaces/{namespace}/roleBindings",
  grpc: "RoleService/ListRoleBindings",
  graphql: "query roleBindings",
  permission: "roles.read",
  input: ListRoleBindingsRequest,
  output: ListRoleBindingsResponse,
  handle: ({ roles }: Services, input) => roles.listBindings(input),
});

export const deleteRoleBinding = operation({
  name: "roles.unbind",
  summary: "Takes a role away from a principal.",
  description:
    "PERMISSION_DENIED with reason PERMISSION_ESCALATION where the role allows what the caller does not hold.",
  rest: "DELETE /v1/namespaces/{namespace}/roleBindings/{bindingId}",
  grpc: "RoleService/DeleteRoleBinding",
  graphql: "mutation deleteRoleBinding",
  permission: "roles.manage",
  input: DeleteRoleBindingRequest,
  output: DeleteRoleBindingResponse,
  handle: ({ roles }: Services, input, call) => roles.unbind(input, call.principal),
});

export const createGatewayRoleBinding = operation({
  name: "gatewayRoles.bind",
  summary: "Gives a principal a role in the whole gateway, and so in every namespace.",
  description:
    "Only the admin of the whole gateway may. FAILED_PRECONDITION with reason NAMESPACE_STRICT where it is a key of a STRICT namespace; PERMISSION_DENIED with reason PERMISSION_ESCALATION where the caller does not hold all that the role allows.",
  rest: "POST /v1/roleBindings",
  grpc: "RoleService/CreateGatewayRoleBinding",
  graphql: "mutation createGatewayRoleBinding",
  permission: "roles.manage",
  input: CreateGatewayRoleBindingRequest,
  output: CreateGatewayRoleBindingResponse,
  handle: async ({ roles }: Services, input, call) => ({
    roleBinding: await roles.bindInGateway(input, call.principal),
  }),
});

export const listGatewayRoleBindings = operation({
  name: "gatewayRoles.listBindings",
  summary: "Lists who has which role in the whole gateway.",
  rest: "GET /v1/roleBindings",
  grpc: "RoleService/ListGatewayRoleBindings",
  graphql: "query gatewayRoleBindings",
  permission: "roles.read",
  input: ListGatewayRoleBindingsRequest,
  output: ListGatewayRoleBindingsResponse,
  handle: ({ roles }: Services, input) => roles.listGatewayBindings(input),
});

export const deleteGatewayRoleBinding = operation({
  name: "gatewayRoles.unbind",
  summary: "Takes a role in the whole gateway away from a principal.",
  description:
    "Only the admin of the whole gateway may. PERMISSION_DENIED with reason PERMISSION_ESCALATION where the role allows what the caller does not hold.",
  rest: "DELETE /v1/roleBindings/{bindingId}",
  grpc: "RoleService/DeleteGatewayRoleBinding",
  graphql: "mutation deleteGatewayRoleBinding",
  permission: "roles.manage",
  input: DeleteGatewayRoleBindingRequest,
  output: DeleteGatewayRoleBindingResponse,
  handle: ({ roles }: Services, input, call) => roles.unbindInGateway(input, call.principal),
});

export const ROLE_OPERATIONS = [
  listPermissions,
  createRole,
  getRole,
  listRoles,
  updateRole,
  deleteRole,
  createRoleBinding,
  listRoleBindings,
  deleteRoleBinding,
  createGatewayRoleBinding,
  listGatewayRoleBindings,
  deleteGatewayRoleBinding,
] as const;
