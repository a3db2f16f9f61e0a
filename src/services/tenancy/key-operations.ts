import { operation } from "../../core/operation.ts";
import type { KeyService } from "./key-service.ts";
import {
  CreateApiKeyRequest,
  CreateApiKeyResponse,
  GetApiKeyRequest,
  GetApiKeyResponse,
  ListApiKeysRequest,
  ListApiKeysResponse,
  RevokeApiKeyRequest,
  RevokeApiKeyResponse,
  RotateApiKeyRequest,
  RotateApiKeyResponse,
} from "./model.ts";

interface Services {
  readonly apiKeys: KeyService;
}

export const createApiKey = operation({
  name: "keys.create",
  summary: "Creates an API key and answers its secret, this once.",
  description: "PERMISSION_DENIED with reason PERMISSION_ESCALATION where a role allows what the caller does not hold.",
  rest: "POST /v1/namespaces/{namespace}/keys",
  grpc: "ApiKeyService/CreateApiKey",
  graphql: "mutation createApiKey",
  permission: "keys.manage",
  input: CreateApiKeyRequest,
  output: CreateApiKeyResponse,
  handle: ({ apiKeys }: Services, input, call) => apiKeys.create(input, call.principal),
});

export const getApiKey = operation({
  name: "keys.get",
  summary: "Answers one API key, without its secret.",
  rest: "GET /v1/namespaces/{namespace}/keys/{keyId}",
  grpc: "ApiKeyService/GetApiKey",
  graphql: "query apiKey",
  permission: "keys.read",
  input: GetApiKeyRequest,
  output: GetApiKeyResponse,
  handle: async ({ apiKeys }: Services, input) => ({ apiKey: await apiKeys.get(input) }),
});

export const listApiKeys = operation({
  name: "keys.list",
  summary: "Lists the API keys of a namespace, also ended ones, without their secrets.",
  rest: "GET /v1/namespaces/{namespace}/keys",
  grpc: "ApiKeyService/ListApiKeys",
  graphql: "query apiKeys",
  permission: "keys.read",
  input: ListApiKeysRequest,
  output: ListApiKeysResponse,
  handle: ({ apiKeys }: Services, input) => apiKeys.list(input),
});

export const revokeApiKey = operation({
  name: "keys.revoke",
  summary: "Ends an API key for good, with all its role bindings.",
  description:
    "Whoever holds keys.manage may end any key of the namespace, also one that may do more than they: a leak must not wait for an admin. Revoking it again changes nothing. Every gateway refuses it at once, at the latest within 5 seconds.",
  rest: "POST /v1/namespaces/{namespace}/keys/{keyId}:revoke",
  grpc: "ApiKeyService/RevokeApiKey",
  graphql: "mutation revokeApiKey",
  permission: "keys.manage",
  input: RevokeApiKeyRequest,
  output: RevokeApiKeyResponse,
  handle: async ({ apiKeys }: Services, input) => ({ apiKey: await apiKeys.revoke(input) }),
});

export const rotateApiKey = operation({
  name: "keys.rotate",
  summary: "Gives an API key a new secret and answers it, this once.",
  description:
    "The old secret is accepted for `graceMs` more. PERMISSION_DENIED with reason PERMISSION_ESCALATION where the key may do what the caller may not; FAILED_PRECONDITION with reason API_KEY_REVOKED where it was revoked.",
  rest: "POST /v1/namespaces/{namespace}/keys/{keyId}:rotate",
  grpc: "ApiKeyService/RotateApiKey",
  graphql: "mutation rotateApiKey",
  permission: "keys.manage",
  input: RotateApiKeyRequest,
  output: RotateApiKeyResponse,
  handle: ({ apiKeys }: Services, input, call) => apiKeys.rotate(input, call.principal),
});

export const KEY_OPERATIONS = [createApiKey, getApiKey, listApiKeys, revokeApiKey, rotateApiKey] as const;
