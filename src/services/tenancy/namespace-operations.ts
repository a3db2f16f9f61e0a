import { operation } from "../../core/operation.ts";
import {
  CreateNamespaceRequest,
  CreateNamespaceResponse,
  DeleteNamespaceRequest,
  DeleteNamespaceResponse,
  GetNamespaceRequest,
  GetNamespaceResponse,
  GetNamespaceUsageResponse,
  ListNamespacesRequest,
  ListNamespacesResponse,
  UpdateNamespaceRequest,
  UpdateNamespaceResponse,
} from "./model.ts";
import type { NamespaceService } from "./namespace-service.ts";

interface Services {
  readonly namespaces: NamespaceService;
}

export const createNamespace = operation({
  name: "namespaces.create",
  summary: "Creates a namespace.",
  description: "ALREADY_EXISTS with reason NAMESPACE_EXISTS where the name is taken.",
  rest: "POST /v1/namespaces",
  grpc: "NamespaceService/CreateNamespace",
  graphql: "mutation createNamespace",
  permission: "namespaces.create",
  input: CreateNamespaceRequest,
  output: CreateNamespaceResponse,
  handle: async ({ namespaces }: Services, input) => ({ namespace: await namespaces.create(input) }),
});

export const getNamespace = operation({
  name: "namespaces.get",
  summary: "Answers one namespace.",
  rest: "GET /v1/namespaces/{namespace}",
  grpc: "NamespaceService/GetNamespace",
  graphql: "query namespace",
  permission: "namespaces.read",
  input: GetNamespaceRequest,
  output: GetNamespaceResponse,
  handle: async ({ namespaces }: Services, { namespace }) => ({ namespace: await namespaces.get(namespace) }),
});

export const listNamespaces = operation({
  name: "namespaces.list",
  summary: "Lists the namespaces that the caller may see.",
  rest: "GET /v1/namespaces",
  grpc: "NamespaceService/ListNamespaces",
  graphql: "query namespaces",
  permission: "",
  input: ListNamespacesRequest,
  output: ListNamespacesResponse,
  handle: ({ namespaces }: Services, input, call) => namespaces.list(input, call.principal),
});

export const updateNamespace = operation({
  name: "namespaces.update",
  summary: "Changes a namespace; what is left out stays as it is.",
  description:
    "Quotas are changed by who holds namespaces.update in the whole gateway. ABORTED with reason REVISION_MISMATCH where `revision` is given and is not the namespace's; FAILED_PRECONDITION with reason NAMESPACE_SHARED where it shall be STRICT and is shared, naming the bindings.",
  rest: "PATCH /v1/namespaces/{namespace}",
  grpc: "NamespaceService/UpdateNamespace",
  graphql: "mutation updateNamespace",
  permission: "namespaces.update",
  input: UpdateNamespaceRequest,
  output: UpdateNamespaceResponse,
  handle: async ({ namespaces }: Services, input, call) => ({
    namespace: await namespaces.update(input, call.principal),
  }),
});

export const deleteNamespace = operation({
  name: "namespaces.delete",
  summary: "Deletes a namespace with its keys and roles.",
  description:
    "FAILED_PRECONDITION with reason NAMESPACE_NOT_EMPTY while it holds work, unless `force` is set, which deletes everything in it for good. The namespace `default` stays.",
  rest: "DELETE /v1/namespaces/{namespace}",
  grpc: "NamespaceService/DeleteNamespace",
  graphql: "mutation deleteNamespace",
  permission: "namespaces.delete",
  input: DeleteNamespaceRequest,
  output: DeleteNamespaceResponse,
  handle: ({ namespaces }: Services, input) => namespaces.delete(input),
});

export const getNamespaceUsage = operation({
  name: "namespaces.usage",
  summary: "Answers the quotas of a namespace and how much of each is used.",
  rest: "GET /v1/namespaces/{namespace}/usage",
  grpc: "NamespaceService/GetNamespaceUsage",
  graphql: "query namespaceUsage",
  permission: "usage.read",
  input: GetNamespaceRequest.meta({ id: "GetNamespaceUsageRequest", description: "Which namespace." }),
  output: GetNamespaceUsageResponse,
  handle: async ({ namespaces }: Services, _input, call) => ({ usage: await namespaces.usage(call.namespace!) }),
});

export const NAMESPACE_OPERATIONS = [
  createNamespace,
  getNamespace,
  listNamespaces,
  updateNamespace,
  deleteNamespace,
  getNamespaceUsage,
] as const;
