import { Redis } from "ioredis";
import pg from "pg";
import { packRow } from "../../src/services/features/values/packed-row.ts";
import { encodeRowBatch } from "../../src/services/features/values/row-batch.ts";
import { BATCH_ROWS, createGroup, encodeBatches, FEATURES, scoreOf, userOf } from "../features/feature-group.ts";
import { openIngestStream } from "../features/ingest-stream.ts";
import { emptyRedis } from "../features/redis-rows.ts";
import type { Bench, Case } from "../harness/bench.ts";
import { compare, type Side } from "../harness/compare.ts";
import { measureCpuCosts } from "../harness/cpu-costs.ts";
import type { Figure } from "../harness/figures.ts";
import { type BenchGateway, startGateway } from "../harness/gateway.ts";
import { costRows } from "../harness/report.ts";

const NAME = "feature-ingest";
const AT_LEAST_PER_SECOND = 100_000;
const STREAMS = 2;
/** More than the gateway works on at once, so that it always finds the next one waiting. */
const BATCHES_PER_STREAM = 12;
const WHAT = `IngestFeatures, ${STREAMS} streams of columns, ${FEATURES.length} doubles, batches of ${BATCH_ROWS.toLocaleString("en")} rows`;

/** Rows that are acknowledged when they are in Postgres and in Redis, beside the bare drivers writing the same there. */
export const featureIngestCase: Case = {
  name: NAME,
  async run(bench) {
    await emptyRedis(bench);
    const gateway = await startGateway(bench, { name: NAME, databaseUrl: await bench.createDatabase() });
    await createGroup(gateway);
    const ours = openWriters(bench, gateway);
    const bare = await openBareWriters(bench);
    const comparison = await compare(bench, ours, bare);
    const costs = await measureCpuCosts(bench, ours, { thing: "row", perCall: BATCH_ROWS });
    const perSecond = timesRows(comparison.ours.perSecond);
    return [
      {
        case: NAME,
        what: WHAT,
        unit: "rows/s",
        gateway: perSecond,
        gatewayCpuPercent: comparison.ours.cpuPercent,
        beside: bare.name,
        besideFigure: timesRows(comparison.bare.perSecond),
        besideCpuPercent: comparison.bare.cpuPercent,
        ratio: comparison.ratio,
        ratioPerCpu: comparison.ratioPerCpu,
        target: `≥ ${AT_LEAST_PER_SECOND.toLocaleString("en")} rows/s`,
        met: perSecond.median >= AT_LEAST_PER_SECOND,
      },
      ...costRows(NAME, `${WHAT}, a row`, costs),
    ];
  },
};

function openWriters(bench: Bench, gateway: BenchGateway): Side {
  const messages = encodeBatches(gateway.namespace);
  let next = 0;
  const callers = Array.from({ length: STREAMS }).flatMap(() => {
    const stream = openIngestStream(gateway);
    bench.defer(() => stream.close());
    return Array.from({ length: BATCHES_PER_STREAM }, () => async () => {
      const rows = await stream.send(messages[next++ % messages.length]!);
      if (rows !== BATCH_ROWS) throw new Error(`Of a batch, ${rows} rows were written.`);
    });
  });
  return { name: "gateway", pid: gateway.pid, callers };
}

/** The same bytes, prepared: one INSERT for the batch, and then a SET for each row in one pipeline. */
async function openBareWriters(bench: Bench): Promise<Side> {
  const pool = new pg.Pool({ connectionString: await bench.createDatabase(), max: STREAMS * BATCHES_PER_STREAM });
  bench.defer(() => pool.end());
  await pool.query("CREATE TABLE bare_log (id bigserial PRIMARY KEY, payload bytea NOT NULL)");
  await pool.query("ALTER TABLE bare_log ALTER COLUMN payload SET STORAGE EXTERNAL");
  const redis = new Redis(bench.redis.url);
  bench.defer(async () => redis.disconnect());
  const shapes = FEATURES.map((name) => ({ name, type: "DOUBLE" as const }));
  const rows = Array.from({ length: BATCH_ROWS }, (_, entity) => ({
    entity: JSON.stringify([userOf(entity)]),
    row: packRow(
      Date.now() * 1000,
      shapes,
      FEATURES.map((_, feature) => scoreOf(entity, feature)),
    ),
  }));
  const payload = encodeRowBatch(rows);
  const write = async () => {
    await pool.query({ name: "bare", text: "INSERT INTO bare_log (payload) VALUES ($1)", values: [payload] });
    const pipeline = redis.pipeline();
    for (const { entity, row } of rows) pipeline.set(`bare:${entity}`, row);
    await pipeline.exec();
  };
  const callers = Array.from({ length: STREAMS * BATCHES_PER_STREAM }, () => write);
  return { name: "pg INSERT and ioredis SET", pid: process.pid, callers };
}

function timesRows({ median, low, high }: Figure): Figure {
  return { median: median * BATCH_ROWS, low: low * BATCH_ROWS, high: high * BATCH_ROWS };
}
