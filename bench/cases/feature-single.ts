import { ENTITIES, FEATURES, fillGroup, GROUP, userOf } from "../features/feature-group.ts";
import { emptyRedis, openRedisRows } from "../features/redis-rows.ts";
import type { Bench, Case } from "../harness/bench.ts";
import { compare, type Side } from "../harness/compare.ts";
import { measureCpuCosts } from "../harness/cpu-costs.ts";
import { startGateway } from "../harness/gateway.ts";
import { costRows } from "../harness/report.ts";
import type { Row } from "../harness/row.ts";
import { type Caller, openGrpcCallers, openHttpCallers } from "../load/callers.ts";
import { loadMethod } from "../load/grpc-client.ts";

const NAME = "feature-single";
const AT_LEAST_PER_SECOND = 15_000;
const ENTITY = ENTITIES / 2;
const features = FEATURES.map((name) => `${GROUP}:${name}`);

/** Reads of one entity, what one prediction needs, over both protocols that services speak. */
export const featureSingleCase: Case = {
  name: NAME,
  async run(bench) {
    await emptyRedis(bench);
    const gateway = await startGateway(bench, { name: NAME, databaseUrl: await bench.createDatabase() });
    await fillGroup(bench, gateway);
    const { namespace, key, pid } = gateway;
    const metadata = { authorization: `Bearer ${key}` };
    const method = loadMethod("FeatureService/ReadFeatures");
    const entities = [{ key: "user_id", values: [{ stringValue: userOf(ENTITY) }] }];
    const message = method.requestSerialize({ namespace, features, entities });
    const grpc = await openGrpcCallers(bench, gateway.grpc, { path: method.path, metadata, message });
    const rest = await openHttpCallers(bench, gateway.rest, {
      method: "POST",
      path: `/v1/namespaces/${namespace}/features:read`,
      headers: metadata,
      body: { features, entities: [{ key: "user_id", values: [userOf(ENTITY)] }] },
    });
    const get = await openGet(bench, grpc.length);
    return [
      ...(await measure(bench, "gRPC", { name: "gateway", pid, callers: grpc }, get)),
      ...(await measure(bench, "REST", { name: "gateway", pid, callers: rest }, get)),
    ];
  },
};

async function openGet(bench: Bench, count: number): Promise<Side> {
  const { driver, keyOf } = await openRedisRows(bench);
  const key = keyOf(ENTITY);
  const get: Caller = async () => {
    if ((await driver.getBuffer(key)) === null) throw new Error("The row is not in Redis.");
  };
  return { name: "ioredis GET", pid: process.pid, callers: Array.from({ length: count }, () => get) };
}

async function measure(bench: Bench, protocol: string, side: Side, get: Side): Promise<Row[]> {
  const what = `Online read of 1 entity × ${FEATURES.length} doubles, over ${protocol}`;
  const { ours, bare, ratio, ratioPerCpu } = await compare(bench, side, get);
  const costs = await measureCpuCosts(bench, side, { thing: `read over ${protocol}` });
  return [
    {
      case: NAME,
      what,
      unit: "calls/s",
      gateway: ours.perSecond,
      gatewayCpuPercent: ours.cpuPercent,
      beside: bare.name,
      besideFigure: bare.perSecond,
      besideCpuPercent: bare.cpuPercent,
      ratio,
      ratioPerCpu,
      target: `≥ ${AT_LEAST_PER_SECOND.toLocaleString("en")} calls/s`,
      met: ours.perSecond.median >= AT_LEAST_PER_SECOND,
    },
    ...costRows(NAME, what, costs),
  ];
}
