import type { Bench } from "../harness/bench.ts";
import { openGrpcConnection, type UnaryCall } from "./grpc-connection.ts";
import { encodeRequest, type HttpRequest, openHttpConnection } from "./http-connection.ts";

/** Calls under way at a time. With fewer, a busy machine has server and load wait for each other by turns. */
const HTTP_CONNECTIONS = 128;
const GRPC_CONNECTIONS = 4;
const CALLS_PER_GRPC_CONNECTION = 32;

export type Caller = () => Promise<unknown>;

/** Callers that send the same request each on a connection of its own, until the case ends. */
export async function openHttpCallers(bench: Bench, url: string, request: HttpRequest): Promise<Caller[]> {
  const bytes = encodeRequest(request);
  const connections = await Promise.all(Array.from({ length: HTTP_CONNECTIONS }, () => openHttpConnection(url)));
  for (const connection of connections) bench.defer(async () => connection.close());
  return connections.map((connection) => async () => {
    const { status, body } = await connection.send(bytes);
    if (status !== 200) throw new Error(`The server answered ${status}: ${body.toString("utf8").slice(0, 500)}`);
  });
}

/** Callers that make the same call over a few connections, until the case ends. */
export async function openGrpcCallers(bench: Bench, address: string, call: UnaryCall): Promise<Caller[]> {
  const connections = await Promise.all(
    Array.from({ length: GRPC_CONNECTIONS }, () => openGrpcConnection(address, call)),
  );
  for (const connection of connections) bench.defer(async () => connection.close());
  return connections.flatMap((connection) =>
    Array.from({ length: CALLS_PER_GRPC_CONNECTION }, () => () => connection.call()),
  );
}

/** Sends one request on a connection of its own. */
export async function askOnce<Answer>(url: string, request: HttpRequest): Promise<Answer> {
  const connection = await openHttpConnection(url);
  try {
    return await connection.sendJson<Answer>(encodeRequest(request));
  } finally {
    connection.close();
  }
}
