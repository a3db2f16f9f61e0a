import type { Bench } from "../harness/bench.ts";
import type { BenchGateway } from "../harness/gateway.ts";
import { askOnce } from "../load/callers.ts";
import { loadMethod } from "../load/grpc-client.ts";
import { openIngestStream } from "./ingest-stream.ts";

export const GROUP = "bench_users";
export const ENTITIES = 100_000;
export const BATCH_ROWS = 1_000;
export const FEATURES = Array.from({ length: 10 }, (_, index) => `score_${index}`);

const FIRST_TIME_MICROS = Date.UTC(2026, 0, 1) * 1000;

export function userOf(entity: number): string {
  return `user-${String(entity).padStart(6, "0")}`;
}

/** What a feature of an entity is, so that an answer can be checked. */
export function scoreOf(entity: number, feature: number): number {
  return entity / 7 + feature;
}

/** The group that all cases read and write: a text for a key and ten doubles. */
export async function createGroup({ rest, namespace, key }: BenchGateway): Promise<void> {
  await askOnce(rest, {
    method: "POST",
    path: `/v1/namespaces/${namespace}/featureGroups`,
    headers: { authorization: `Bearer ${key}` },
    body: {
      group: GROUP,
      entityKeys: [{ name: "user_id", type: "STRING" }],
      features: FEATURES.map((name) => ({ name, type: "DOUBLE" })),
    },
  });
}

/** Prepared messages that together hold a row of every entity, a batch of rows as columns in each. */
export function encodeBatches(namespace: string): Buffer[] {
  const { requestSerialize } = loadMethod("FeatureService/IngestFeatures");
  return Array.from({ length: ENTITIES / BATCH_ROWS }, (_, batch) => {
    const entities = Array.from({ length: BATCH_ROWS }, (_, row) => batch * BATCH_ROWS + row);
    return requestSerialize({
      namespace,
      group: GROUP,
      batch,
      columns: {
        entities: [{ name: "user_id", values: { string: { values: entities.map(userOf) } } }],
        features: FEATURES.map((name, feature) => ({
          name,
          values: { double: { values: entities.map((entity) => scoreOf(entity, feature)) } },
        })),
        eventTimesMicros: entities.map((entity) => FIRST_TIME_MICROS + entity),
      },
    });
  });
}

/** Writes one row of every entity. */
export async function fillGroup(bench: Bench, gateway: BenchGateway): Promise<void> {
  await createGroup(gateway);
  const stream = openIngestStream(gateway);
  for (const message of encodeBatches(gateway.namespace)) await stream.send(message);
  await stream.close();
  bench.progress(`  ${ENTITIES.toLocaleString("en")} entities are written`);
}
