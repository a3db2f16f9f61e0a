import type { Case } from "../harness/bench.ts";
import { askOnce } from "../load/callers.ts";
import type { HttpRequest } from "../load/http-connection.ts";
import { runGrpcPair, runHttpPair } from "./pair.ts";

const QUERY = "{ whoAmI { principalId displayName } }";

/** An operation that touches no store, the whole way through the interceptors. */
export const memoryCases: readonly Case[] = [
  {
    name: "memory-rest",
    run: (bench) =>
      runHttpPair(bench, {
        name: "memory-rest",
        what: "REST `GET /v1/whoami`, no store touched",
        protocol: "rest",
        bareName: "express",
        atLeast: 0.6,
        async prepare({ rest, key }) {
          const request: HttpRequest = { method: "GET", path: "/v1/whoami" };
          const headers = { authorization: `Bearer ${key}` };
          return { ours: request, bare: request, whoAmI: await askOnce<object>(rest, { ...request, headers }) };
        },
      }),
  },
  {
    name: "memory-grpc",
    run: (bench) =>
      runGrpcPair(bench, {
        name: "memory-grpc",
        what: "gRPC `SystemService/WhoAmI`, no store touched",
        bareName: "grpc-js",
        atLeast: 0.6,
        method: "SystemService/WhoAmI",
        prepare: async () => ({}),
      }),
  },
  {
    name: "memory-graphql",
    run: (bench) =>
      runHttpPair(bench, {
        name: "memory-graphql",
        what: `GraphQL \`${QUERY}\`, no store touched`,
        protocol: "graphql",
        bareName: "yoga",
        atLeast: 2,
        async prepare({ rest, key }) {
          const headers = { authorization: `Bearer ${key}` };
          const request: HttpRequest = { method: "POST", path: "/graphql", body: { query: QUERY } };
          const whoAmI = await askOnce<object>(rest, { method: "GET", path: "/v1/whoami", headers });
          return { ours: request, bare: request, whoAmI };
        },
      }),
  },
];
