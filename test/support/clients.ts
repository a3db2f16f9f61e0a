import { createGraphqlClient, type GraphqlClient } from "./clients-graphql.ts";
import { createGrpcClient, type GrpcClient } from "./clients-grpc.ts";
import type { ProtocolClient } from "./clients-model.ts";
import { createRestClient } from "./clients-rest.ts";

export interface Addresses {
  readonly rest: string;
  readonly grpc: string;
  readonly graphql: string;
}

export interface Clients {
  readonly rest: ProtocolClient;
  readonly grpc: GrpcClient;
  readonly graphql: GraphqlClient;
}

/** A client for each protocol, all with one interface. */
export function createClients(addresses: Addresses): Clients {
  return {
    rest: createRestClient(addresses.rest),
    grpc: createGrpcClient(addresses.grpc),
    graphql: createGraphqlClient(addresses.graphql),
  };
}
