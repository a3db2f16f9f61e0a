import { fileURLToPath } from "node:url";
import {
  type ChannelCredentials,
  type Client,
  credentials,
  loadPackageDefinition,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { eventually } from "../support/eventually.ts";
import type { GatewayProcess } from "../support/gateway-process.ts";

const PROTOS = fileURLToPath(new URL("../../protos", import.meta.url));

/** What a test reads out of an answer; the answers themselves are checked by expectations. */
// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape, looked into by tests.
export type Body = any;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface RestClient {
  call(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Answer>;
  get(path: string): Promise<Answer>;
  post(path: string, body?: object, headers?: Record<string, string>): Promise<Answer>;
}

/** A client of one gateway under one key; paths begin after `/v1`. */
export function restClient(gateway: Pick<GatewayProcess, "rest">, key: string): RestClient {
  const call: RestClient["call"] = async (method, path, body, headers = {}) => {
    const response = await fetch(`${gateway.rest}/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
  };
  return {
    call,
    get: (path) => call("GET", path),
    post: (path, body = {}, headers = {}) => call("POST", path, body, headers),
  };
}

export interface GraphqlAnswer {
  readonly data: Body;
  readonly errors?: { readonly message: string; readonly extensions: Body }[];
}

export async function graphql(
  gateway: Pick<GatewayProcess, "graphql">,
  key: string,
  query: string,
  variables: object = {},
): Promise<GraphqlAnswer> {
  const response = await fetch(new URL("/graphql", gateway.graphql), {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()) as GraphqlAnswer;
}

type Method = (...values: unknown[]) => unknown;

export interface GrpcClient {
  /** Resolves with the answer; rejects with the ServiceError. */
  unary(method: string, request: object): Promise<Body>;
  /** A server stream as grpc-js gives it. */
  stream(method: string, request: object): AsyncIterable<Body>;
  close(): void;
}

/** A client of one service, e.g. `TaskService`, from the committed protos. */
export function grpcClient(
  address: string,
  key: string,
  service: string,
  channelCredentials: ChannelCredentials = credentials.createInsecure(),
  channelOptions: object = {},
): GrpcClient {
  const file = `tarl/v1/${service.replace(/(?!^)([A-Z])/g, "_$1").toLowerCase()}.proto`;
  const definition = loadSync(file, { includeDirs: [PROTOS], longs: Number, enums: String, defaults: false });
  const loaded = loadPackageDefinition(definition) as unknown as {
    tarl: { v1: Record<string, new (...values: unknown[]) => Client> };
  };
  const Service = loaded.tarl.v1[service]!;
  const client = new Service(address, channelCredentials, {
    "grpc.use_local_subchannel_pool": 1,
    ...channelOptions,
  }) as unknown as Client & Record<string, Method>;
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${key}`);
  return {
    unary: (method, request) =>
      new Promise((resolve, reject) => {
        client[method]!(request, metadata, (error: ServiceError | null, answer: unknown) =>
          error ? reject(error) : resolve(answer),
        );
      }),
    stream: (method, request) => client[method]!(request, metadata) as AsyncIterable<Body>,
    close: () => client.close(),
  };
}

/** Resolves when the gateway says that at least `count` calls of the operation are under way. */
export function activeCalls(gateway: Pick<GatewayProcess, "rest">, operation: string, count: number): Promise<true> {
  return eventually(`${count} calls of ${operation} are under way`, async () => {
    const text = await (await fetch(`${gateway.rest}/metrics`)).text();
    const lines = text.split("\n").filter((line) => line.startsWith("tarl_requests_active{"));
    const ofOperation = lines.filter((line) => line.includes(`operation="${operation}"`));
    return ofOperation.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0) >= count || undefined;
  });
}
