import { deepStrictEqual } from "node:assert";
import { startBareServer } from "../harness/bare-server.ts";
import type { Bench } from "../harness/bench.ts";
import { compare, type Side } from "../harness/compare.ts";
import { type BenchGateway, startGateway } from "../harness/gateway.ts";
import { comparisonRow } from "../harness/report.ts";
import type { Row } from "../harness/row.ts";
import { askOnce, openGrpcCallers, openHttpCallers } from "../load/callers.ts";
import { createGrpcClient, loadMethod } from "../load/grpc-client.ts";
import type { HttpRequest } from "../load/http-connection.ts";

/** A request that the gateway and the bare library answer with the same. */
export interface Pair {
  readonly name: string;
  readonly what: string;
  readonly bareName: string;
  readonly atLeast: number;
}

export interface HttpPair extends Pair {
  readonly protocol: "rest" | "graphql";
  /** Makes what the requests are about; answers them, and what the bare server shall say of the caller. */
  prepare(gateway: BenchGateway): Promise<{ ours: HttpRequest; bare: HttpRequest; whoAmI: object }>;
}

export interface GrpcPair extends Pair {
  /** `TaskService/GetTask` */
  readonly method: string;
  prepare(gateway: BenchGateway): Promise<object>;
}

export async function runHttpPair(bench: Bench, pair: HttpPair): Promise<Row[]> {
  const databaseUrl = await bench.createDatabase();
  const gateway = await startGateway(bench, { name: pair.name, databaseUrl });
  const { ours, bare, whoAmI } = await pair.prepare(gateway);
  const { namespace } = gateway;
  const server = await startBareServer(bench, pair.protocol, { databaseUrl, namespace, whoAmI });
  const bareUrl = `http://${server.address}`;
  const request = { ...ours, headers: { ...ours.headers, authorization: `Bearer ${gateway.key}` } };
  const oursUrl = gateway[pair.protocol];

  deepStrictEqual(await askOnce(bareUrl, bare), await askOnce(oursUrl, request), "both answer the same");
  const left: Side = { name: "gateway", pid: gateway.pid, callers: await openHttpCallers(bench, oursUrl, request) };
  const right: Side = { name: pair.bareName, pid: server.pid, callers: await openHttpCallers(bench, bareUrl, bare) };
  return [comparisonRow(pair.name, pair.what, await compare(bench, left, right), pair.atLeast)];
}

export async function runGrpcPair(bench: Bench, pair: GrpcPair): Promise<Row[]> {
  const databaseUrl = await bench.createDatabase();
  const gateway = await startGateway(bench, { name: pair.name, databaseUrl });
  const input = await pair.prepare(gateway);
  const { namespace, key } = gateway;
  const method = loadMethod(pair.method);
  const whoAmI = await askGrpc(gateway.grpc, key, "SystemService/WhoAmI", {});
  const server = await startBareServer(bench, "grpc", { databaseUrl, namespace, whoAmI });

  const answers = [server.address, gateway.grpc].map((address) => askGrpc(address, key, pair.method, input));
  deepStrictEqual(await answers[0], await answers[1], "both answer the same");
  const message = method.requestSerialize(input);
  const call = { path: method.path, message };
  const metadata = { authorization: `Bearer ${key}` };
  const left: Side = {
    name: "gateway",
    pid: gateway.pid,
    callers: await openGrpcCallers(bench, gateway.grpc, { ...call, metadata }),
  };
  const right: Side = {
    name: pair.bareName,
    pid: server.pid,
    callers: await openGrpcCallers(bench, server.address, { ...call, metadata: {} }),
  };
  return [comparisonRow(pair.name, pair.what, await compare(bench, left, right), pair.atLeast)];
}

async function askGrpc(address: string, key: string, method: string, input: object): Promise<object> {
  const client = createGrpcClient(address, key);
  try {
    return await client.call<object>(loadMethod(method), input);
  } finally {
    client.close();
  }
}
