import { deepStrictEqual } from "node:assert";
import { ENTITIES, FEATURES, fillGroup, GROUP, scoreOf, userOf } from "../features/feature-group.ts";
import { emptyRedis, openRedisRows } from "../features/redis-rows.ts";
import type { Bench, Case } from "../harness/bench.ts";
import { type Comparison, callFor, compare, type Side } from "../harness/compare.ts";
import { type CpuCosts, measureCpuCosts } from "../harness/cpu-costs.ts";
import { type BenchGateway, startGateway } from "../harness/gateway.ts";
import { type TimedCallers, timeCallers } from "../harness/latencies.ts";
import { costRows } from "../harness/report.ts";
import type { Row } from "../harness/row.ts";
import type { Caller } from "../load/callers.ts";
import { createGrpcClient, loadMethod } from "../load/grpc-client.ts";

const NAME = "feature-reads";
const READ_ENTITIES = 100;
const AT_LEAST_PER_SECOND = 4_000;
const BELOW_MS = 10;
/** Few, because a read waits for all that came before it: this many at 4,000 calls/s wait 4 ms on average. */
const CONNECTIONS = 4;
const CALLS_PER_CONNECTION = 4;
/** Different reads that are sent by turns. */
const READS = 256;
const WHAT = `Online read of ${READ_ENTITIES} entities × ${FEATURES.length} doubles of one group, over gRPC`;

const method = loadMethod("FeatureService/ReadFeatures");

/** Reads of many entities through grpc-js's own client, beside an MGET of the same rows by ioredis. */
export const featureReadsCase: Case = {
  name: NAME,
  async run(bench) {
    await emptyRedis(bench);
    const gateway = await startGateway(bench, { name: NAME, databaseUrl: await bench.createDatabase() });
    await fillGroup(bench, gateway);
    const reads = Array.from({ length: READS }, () =>
      Array.from({ length: READ_ENTITIES }, () => Math.floor(Math.random() * ENTITIES)),
    );
    await checkAnswer(gateway, reads[0]!);
    const { timed, answerBytes } = openReaders(bench, gateway, reads);
    const mget = timeCallers(await openMget(bench, reads));

    const ours: Side = { name: "gateway", pid: gateway.pid, callers: timed.callers };
    const bare: Side = { name: "ioredis MGET", pid: process.pid, callers: mget.callers };
    await callFor(ours.callers, bench.options.seconds);
    await callFor(bare.callers, bench.options.seconds);
    for (const side of [timed, mget]) side.reset();
    const comparison = await compare(bench, ours, bare);
    const shape = `a read: ${READ_ENTITIES} random of ${ENTITIES.toLocaleString("en")} entities, answered with ${READ_ENTITIES * FEATURES.length} doubles, a status for each and ${READ_ENTITIES} event times in ${answerBytes().toLocaleString("en")} bytes`;
    bench.progress(`  ${shape}`);
    const rows = [...rateRows(comparison, shape), ...latencyRows(timed, mget)];
    const costs: CpuCosts = await measureCpuCosts(bench, ours, { thing: "read" });
    return [...rows, ...costRows(NAME, WHAT, costs)];
  },
};

function encodeRead({ namespace }: BenchGateway, entities: readonly number[]): Buffer {
  return method.requestSerialize({
    namespace,
    features: FEATURES.map((name) => `${GROUP}:${name}`),
    entities: [{ key: "user_id", values: entities.map((entity) => ({ stringValue: userOf(entity) })) }],
  });
}

interface ReadAnswer {
  readonly columns: readonly {
    readonly values: { readonly double: { readonly values: readonly number[] } };
    readonly statuses: readonly string[];
  }[];
}

/** What is measured must be the right answer. */
async function checkAnswer(gateway: BenchGateway, entities: readonly number[]): Promise<void> {
  const client = createGrpcClient(gateway.grpc, gateway.key);
  const prepared = { ...method, requestSerialize: (bytes: object) => bytes as Buffer };
  const { columns } = await client.call<ReadAnswer>(prepared, encodeRead(gateway, entities));
  client.close();
  for (const [feature, { values, statuses }] of columns.entries()) {
    deepStrictEqual(
      values.double.values,
      entities.map((entity) => scoreOf(entity, feature)),
    );
    deepStrictEqual(new Set(statuses), new Set(["FEATURE_STATUS_PRESENT"]));
  }
  deepStrictEqual(columns.length, FEATURES.length);
}

/**
 * grpc-js's own client takes the answer's bytes and leaves them as they are: what a client makes of
 * them differs by its language, and here it would take the load generator's time and not the gateway's.
 */
function openReaders(
  bench: Bench,
  gateway: BenchGateway,
  reads: readonly (readonly number[])[],
): { timed: TimedCallers; answerBytes: () => number } {
  const messages = reads.map((entities) => encodeRead(gateway, entities));
  const raw = {
    ...method,
    requestSerialize: (bytes: object) => bytes as Buffer,
    responseDeserialize: (b: Buffer) => b,
  };
  let next = 0;
  let answerBytes = 0;
  const callers = Array.from({ length: CONNECTIONS }).flatMap((): Caller[] => {
    const client = createGrpcClient(gateway.grpc, gateway.key);
    bench.defer(async () => client.close());
    return Array.from({ length: CALLS_PER_CONNECTION }, () => async () => {
      answerBytes = (await client.call<Buffer>(raw, messages[next++ % READS]!)).length;
    });
  });
  return { timed: timeCallers(callers), answerBytes: () => answerBytes };
}

async function openMget(bench: Bench, reads: readonly (readonly number[])[]): Promise<Caller[]> {
  const { driver, keyOf } = await openRedisRows(bench);
  const keys = reads.map((entities) => entities.map(keyOf));
  let next = 0;
  return Array.from({ length: CONNECTIONS * CALLS_PER_CONNECTION }, () => async () => {
    const rows = await driver.mgetBuffer(keys[next++ % READS]!);
    if (rows.includes(null)) throw new Error("A row is not in Redis.");
  });
}

function rateRows({ ours, bare, ratio, ratioPerCpu }: Comparison, shape: string): Row[] {
  const beside = { beside: bare.name, besideFigure: bare.perSecond, besideCpuPercent: bare.cpuPercent };
  return [
    {
      case: NAME,
      what: `${WHAT} (${shape})`,
      unit: "calls/s",
      gateway: ours.perSecond,
      gatewayCpuPercent: ours.cpuPercent,
      ...beside,
      ratio,
      ratioPerCpu,
      target: `≥ ${AT_LEAST_PER_SECOND.toLocaleString("en")} calls/s`,
      met: ours.perSecond.median >= AT_LEAST_PER_SECOND,
    },
    {
      case: NAME,
      what: `${WHAT}, counted in entities`,
      unit: "entity rows/s",
      gateway: timesEntities(ours.perSecond),
      beside: bare.name,
      besideFigure: timesEntities(bare.perSecond),
    },
  ];
}

function timesEntities({ median, low, high }: Comparison["ratio"]): Comparison["ratio"] {
  return { median: median * READ_ENTITIES, low: low * READ_ENTITIES, high: high * READ_ENTITIES };
}

function latencyRows(ours: TimedCallers, bare: TimedCallers): Row[] {
  return [0.5, 0.99].map((share) => {
    const [value, besideValue] = [ours.percentile(share), bare.percentile(share)];
    return {
      case: NAME,
      what: `${WHAT}, ${CONNECTIONS * CALLS_PER_CONNECTION} under way, p${share * 100} of ${ours.count().toLocaleString("en")}`,
      unit: "ms",
      gateway: { median: value, low: value, high: value },
      beside: "ioredis MGET",
      besideFigure: { median: besideValue, low: besideValue, high: besideValue },
      ...(share === 0.99 && { target: `< ${BELOW_MS} ms`, met: value < BELOW_MS }),
    };
  });
}
