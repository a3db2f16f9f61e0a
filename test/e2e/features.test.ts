import { mkdtempSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type GatewayProcess, showGatewaysOnFailure } from "../support/gateway-process.ts";
import { type Body, graphql, grpcClient, type RestClient, restClient } from "./client.ts";
import { createKey, createNamespace, type Installation, SETUPS, type Setup } from "./setups.ts";

showGatewaysOnFailure();

const WRITERS = 4;
const ROWS_A_WRITE = 20;
const KILLS = 2;
const ROWS_BETWEEN_KILLS = 200;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Gateways that share the folder of their feature files, as they must. */
async function install(setup: Setup): Promise<{ installation: Installation; featuresDir: string }> {
  const featuresDir = mkdtempSync(join(tmpdir(), "tarl-features-"));
  cleanups.push(() => rm(featuresDir, { recursive: true, force: true }));
  const installation = await setup.start({ TARL_FEATURES_DIR: featuresDir });
  cleanups.push(() => installation.remove());
  return { installation, featuresDir };
}

const GROUP = {
  group: "clicks",
  entityKeys: [{ name: "user", type: "STRING" }],
  features: [{ name: "count", type: "INT64" }],
};

describe.each(SETUPS)("features on $name", (setup) => {
  test("are defined, written, read and trained on, over three protocols", async () => {
    const { a, b, adminKey } = (await install(setup)).installation;
    const admin = restClient(a, adminKey);
    const { namespace, path } = await createNamespace(admin);
    const { secret } = await createKey(admin, path, "operator");
    const client = restClient(a, secret);
    expect(await client.post(`${path}/featureGroups`, GROUP)).toMatchObject({ status: 200 });
    expect(
      await client.post(`${path}/featureViews`, { view: "model", features: [{ feature: "clicks:count" }] }),
    ).toMatchObject({ status: 200 });

    const eventTime = new Date(Date.now() - 60_000).toISOString();
    const row = { entity: { user: "u1" }, values: { count: 5 }, eventTime };
    expect(await client.post(`${path}/featureGroups/clicks/rows`, { rows: [row] })).toMatchObject({ status: 200 });

    const grpc = grpcClient(b.grpc, secret, "FeatureService");
    cleanups.push(async () => grpc.close());
    const read = await grpc.unary("ReadFeatures", {
      namespace,
      view: "model",
      entities: [{ key: "user", values: [{ stringValue: "u1" }, { stringValue: "u2" }] }],
    });
    expect(read.columns).toMatchObject([
      {
        name: "count",
        values: { int64: { values: [5, 0] } },
        statuses: ["FEATURE_STATUS_PRESENT", "FEATURE_STATUS_NOT_FOUND"],
      },
    ]);

    const { data, errors } = await graphql(
      b,
      secret,
      `query ($namespace: String!, $times: [DateTime!]!) {
        historicalFeatures(
          namespace: $namespace, view: "model", times: $times, knownAt: LATEST,
          entities: [{ key: "user", values: ["u1", "u1"] }]
        ) { columns { statuses values { ... on Int64Values { values } } } sources { eventTimes } }
      }`,
      { namespace, times: [eventTime, "2020-01-01T00:00:00Z"] },
    );
    expect(errors).toBeUndefined();
    expect(data.historicalFeatures).toEqual({
      columns: [{ statuses: ["PRESENT", "NOT_FOUND"], values: { values: [5, null] } }],
      sources: [{ eventTimes: [eventTime, null] }],
    });
  }, 60_000);

  test("that were acknowledged are all there after kills in the middle of writes", async () => {
    const { installation, featuresDir } = await install(setup);
    const admin = restClient(installation.b, installation.adminKey);
    const { path } = await createNamespace(admin);
    await admin.post(`${path}/featureGroups`, GROUP);

    const acknowledged = new Map<string, number>();
    let isOver = false;
    const writers = Array.from({ length: WRITERS }, (_, writer) =>
      writeUntil(() => isOver, installation.gateways, installation.adminKey, path, writer, acknowledged),
    );
    for (let kill = 1; kill <= KILLS; kill++) {
      await eventually("rows are acknowledged", () => acknowledged.size >= kill * ROWS_BETWEEN_KILLS, 60_000);
      await installation.a.kill();
      await installation.a.restart();
    }
    isOver = true;
    await Promise.all(writers);

    const users = [...acknowledged.keys()].sort();
    const expected = users.map((user) => acknowledged.get(user)!);
    expect(await readOnline(restClient(installation.a, installation.adminKey), path, users)).toEqual(expected);
    expect(await readHistory(admin, path, users)).toEqual(expected);
    await eventually(
      "all rows are in files",
      async () => (await admin.get(`${path}/featureGroups/clicks/statistics`)).body.statistics.pendingRows === 0,
      60_000,
    );
    expect(await readHistory(admin, path, users)).toEqual(expected);
    const files = (await readdir(featuresDir, { recursive: true })).filter((file) => file.endsWith(".parquet"));
    expect(files.length).toBeGreaterThan(0);
  }, 180_000);
});

/** Writes rows of new users and remembers those whose write was acknowledged. */
async function writeUntil(
  isOver: () => boolean,
  gateways: readonly GatewayProcess[],
  key: string,
  path: string,
  writer: number,
  acknowledged: Map<string, number>,
): Promise<void> {
  const clients = gateways.map((gateway) => restClient(gateway, key));
  const eventTime = new Date(Date.now() - 60_000).toISOString();
  for (let write = 0; !isOver(); write++) {
    const rows = Array.from({ length: ROWS_A_WRITE }, (_, index) => ({
      entity: { user: `${writer}-${write}-${index}` },
      values: { count: write * ROWS_A_WRITE + index },
      eventTime,
    }));
    const answer = await clients[write % clients.length]!.post(`${path}/featureGroups/clicks/rows`, { rows }).catch(
      () => undefined,
    );
    if (answer?.status !== 200) continue;
    for (const { entity, values } of rows) acknowledged.set(entity.user, values.count);
  }
}

async function readOnline(client: RestClient, path: string, users: readonly string[]): Promise<number[]> {
  const counts: number[] = [];
  for (let from = 0; from < users.length; from += 5000) {
    const entities = [{ key: "user", values: users.slice(from, from + 5000) }];
    const { body } = await client.post(`${path}/features:read`, { features: ["clicks:count"], entities });
    counts.push(...body.columns[0].values.values);
  }
  return counts;
}

/** The count that the history has for each user, each of them once. */
async function readHistory(
  client: RestClient,
  path: string,
  users: readonly string[],
): Promise<(number | undefined)[]> {
  const counts = new Map<string, number>();
  let pageToken: string | undefined;
  do {
    const query = new URLSearchParams({ pageSize: "1000", ...(pageToken && { pageToken }) });
    const { body }: { body: Body } = await client.get(`${path}/featureGroups/clicks/latest?${query}`);
    const { entities, columns } = body.rows;
    for (const [index, user] of entities[0].values.entries()) counts.set(user, columns[0].values.values[index]);
    pageToken = body.nextPageToken;
  } while (pageToken !== undefined);
  return users.map((user) => counts.get(user));
}
