import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { showGatewaysOnFailure } from "../support/gateway-process.ts";
import { type Body, type RestClient, restClient } from "./client.ts";
import { createNamespace, SETUPS } from "./setups.ts";

showGatewaysOnFailure();

const ROWS = 60_000;
const CHUNK_BYTES = 1024 * 1024;
const READ_AT_ONCE = 5000;

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const GROUP = {
  group: "clicks",
  entityKeys: [{ name: "user", type: "STRING" }],
  features: [{ name: "count", type: "INT64" }],
};

describe.each(SETUPS)("jobs on $name", (setup) => {
  test("an import whose gateways are killed in the middle of it goes on after the restart, each row once", async () => {
    const featuresDir = mkdtempSync(join(tmpdir(), "tarl-features-"));
    cleanups.push(() => rm(featuresDir, { recursive: true, force: true }));
    const installation = await setup.start({ TARL_FEATURES_DIR: featuresDir });
    cleanups.push(() => installation.remove());
    const { a, gateways, adminKey } = installation;
    const client = restClient(a, adminKey);
    const { path } = await createNamespace(client);
    expect(await client.post(`${path}/featureGroups`, GROUP)).toMatchObject({ status: 200 });

    const eventTime = new Date(Date.now() - 60_000).toISOString();
    const lines = Array.from({ length: ROWS }, (_, index) => `${eventTime},user-${index},${index}\n`);
    const fileId = await upload(client, path, `event_time,user,count\n${lines.join("")}`);
    const { body } = await client.post(`${path}/featureJobs:import`, { group: "clicks", fileId });
    const { jobId } = body.job;
    const job = async (): Promise<Body> => (await client.get(`${path}/featureJobs/${jobId}`)).body.job;
    await eventually("some rows are written", async () => (await job()).progress.done > 0, 60_000);
    await Promise.all(gateways.map((gateway) => gateway.kill()));
    await a.restart();

    const left = await job();
    expect(left, "killed in the middle").toMatchObject({ state: "RUNNING" });
    const ended = await eventually(
      "the job ends",
      async () => {
        const found = await job();
        return found.finishedAt !== undefined && found;
      },
      90_000,
    );
    expect(ended).toMatchObject({ state: "SUCCEEDED", attempts: 2, progress: { done: ROWS, total: ROWS } });
    expect(ended.result).toMatchObject({ rowCount: ROWS });
    const { statistics } = (await client.get(`${path}/featureGroups/clicks/statistics`)).body;
    expect(statistics.rowCount, "rows in the history").toBe(ROWS);
    expect(await readOnline(client, path)).toEqual(Array.from({ length: ROWS }, (_, index) => index));
  }, 240_000);
});

async function upload(client: RestClient, path: string, text: string): Promise<string> {
  const created = await client.post(`${path}/featureFiles`, { name: "clicks.csv", format: "CSV" });
  const { fileId } = created.body.featureFile;
  const bytes = Buffer.from(text);
  for (let offset = 0; offset < bytes.length; offset += CHUNK_BYTES) {
    const data = bytes.subarray(offset, offset + CHUNK_BYTES).toString("base64");
    expect(await client.post(`${path}/featureFiles/${fileId}:append`, { offset, data })).toMatchObject({ status: 200 });
  }
  expect(await client.post(`${path}/featureFiles/${fileId}:finish`)).toMatchObject({ status: 200 });
  return fileId;
}

async function readOnline(client: RestClient, path: string): Promise<number[]> {
  const counts: number[] = [];
  for (let from = 0; from < ROWS; from += READ_AT_ONCE) {
    const users = Array.from({ length: READ_AT_ONCE }, (_, index) => `user-${from + index}`);
    const request = { features: ["clicks:count"], entities: [{ key: "user", values: users }] };
    counts.push(...(await client.post(`${path}/features:read`, request)).body.columns[0].values.values);
  }
  return counts;
}
