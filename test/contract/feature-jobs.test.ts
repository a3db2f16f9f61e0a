import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ANONYMOUS, type Principal } from "../../src/core/principal.ts";
import { CreateFeatureViewRequest } from "../../src/services/features/definitions/view-model.ts";
import type { FeatureRow } from "../../src/services/features/ingestion/write-model.ts";
import {
  StartFeatureExportRequest,
  StartFeatureRowsExportRequest,
} from "../../src/services/features/jobs/job-model.ts";
import { claimJob, extendClaim, failJob, keepPlace, succeedJob } from "../../src/services/features/jobs/job-store.ts";
import { eventually } from "../support/eventually.ts";
import { type FeatureJobsFixture, jobSetups, NAMESPACE, OPERATOR } from "./feature-jobs-fixture.ts";

const BASE = Date.now() - 3_600_000;
const at = (seconds: number) => new Date(BASE + seconds * 1000).toISOString();
/** As it stands in CSV. */
const inCsv = (seconds: number) => at(seconds).replace("Z", "000Z");
const row = (user: string, clicks: number | null, seconds = 0): FeatureRow => ({
  entity: { user },
  values: { clicks },
  eventTime: at(seconds),
});

const holder = (...permissions: string[]): Principal => ({
  ...ANONYMOUS,
  id: "key:other",
  kind: "API_KEY",
  grants: new Map([[NAMESPACE, new Set(permissions)]]),
});

describe.each(jobSetups)("jobs on $name", ({ open }) => {
  let store: FeatureJobsFixture;
  let services: FeatureJobsFixture["domain"]["services"];
  beforeAll(async () => {
    store = await open();
    services = store.domain.services;
  }, 60_000);
  afterAll(async () => {
    await store?.close();
    expect(store?.logged).toEqual([]);
  });

  const startExport = (request: object, principal = OPERATOR) =>
    "group" in request
      ? services.featureJobs.startRowsExport(
          StartFeatureRowsExportRequest.parse({ namespace: NAMESPACE, ...request }),
          store.call({ principal }),
        )
      : services.featureJobs.startExport(
          StartFeatureExportRequest.parse({ namespace: NAMESPACE, ...request }),
          store.call({ principal }),
        );
  const rebuild = (group: string, more: object = {}, principal = OPERATOR) =>
    services.featureJobs.startRebuild({ namespace: NAMESPACE, group, ...more }, store.call({ principal }));
  const exported = async (request: object) => {
    const job = await store.ended(await startExport(request));
    expect(job).toMatchObject({ state: "SUCCEEDED", progress: { done: 100, total: 100, unit: "PERCENT" } });
    return (await store.download(job.result!.fileId!)).toString();
  };
  const forgetOnline = async () => {
    await store.redis?.use((driver) => driver.flushdb());
    await store.database.query("DELETE FROM feature_online");
  };

  test("rebuild the online store: every entity's newest row, while others are written", async () => {
    const group = await store.group();
    await store.write(group, [row("a", 1), row("a", 2, 5), row("b", 3), row("c", null)]);
    await forgetOnline();
    expect(await store.online(group, "clicks", ["a", "b", "c"])).toEqual([null, null, null]);
    await store.write(group, [row("b", 4, 9)]);
    const job = await store.ended(await rebuild(group));
    expect(job).toMatchObject({
      state: "SUCCEEDED",
      result: { rowCount: 3 },
      progress: { done: 3, total: 3 },
      attempts: 1,
    });
    expect(await store.online(group, "clicks", ["a", "b", "c"])).toEqual([2, 4, null]);
  });

  test("rebuild a range of time", async () => {
    const group = await store.group();
    await store.write(group, [row("a", 1), row("b", 2, 5), row("a", 3, 9)]);
    await forgetOnline();
    await store.ended(await rebuild(group, { from: at(0), to: at(9) }));
    expect(await store.online(group, "clicks", ["a", "b"])).toEqual([1, 2]);
  });

  test("rebuild only what is kept both online and offline", async () => {
    const offline = await store.group({ online: false });
    await expect(rebuild(offline)).rejects.toMatchObject({ reason: "NOT_ONLINE" });
    const online = await store.group({ offline: false });
    await expect(rebuild(online)).rejects.toMatchObject({ reason: "NOT_OFFLINE" });
    await expect(rebuild("nothing")).rejects.toMatchObject({ reason: "FEATURE_GROUP_NOT_FOUND" });
  });

  test("export a range of a group", async () => {
    const group = await store.group();
    await store.write(group, [row("a", 1, 0), row('b,"ä', null, 1), row("a", 3, 2)]);
    const asked = { format: "CSV", group, from: at(1) };
    expect(await exported(asked)).toBe(`user,clicks,event_time\n"b,""ä",,${inCsv(1)}\na,3,${inCsv(2)}\n`);
    expect((await exported({ group })).slice(0, 4)).toBe("PAR1");
    const unknown = startExport({ group, features: ["nothing"] });
    await expect(unknown).rejects.toMatchObject({ details: { fields: [{ field: "features[0]" }] } });
  });

  test("export a point-in-time join of a file, in the order and with the columns of its rows", async () => {
    const group = await store.group({ ttlMs: 60_000 });
    await store.write(group, [row("a", 1, 0), row("a", 2, 10), row("b", 5, 0)]);
    const view = CreateFeatureViewRequest.parse({
      ...{ namespace: NAMESPACE, view: `view-${group}` },
      features: [{ feature: `${group}:clicks`, alias: "count" }],
    });
    await services.featureViews.create(view, OPERATOR);
    const rows = [`b,${at(70)},x`, `a,${at(9)},y`, `c,${at(9)},z`, `a,${at(10)},y`];
    const fileId = await store.upload("entities.csv", `user,event_time,label\n${rows.join("\n")}\n`);
    const join = { fileId, view: view.view, knownAt: "LATEST", withStatus: true };
    const answers = [`,OUTSIDE_MAX_AGE,${inCsv(0)}`, `1,PRESENT,${inCsv(0)}`, ",NOT_FOUND,", `2,PRESENT,${inCsv(10)}`];
    expect(await exported({ format: "CSV", ...join })).toBe(
      `user,event_time,label,count,count__status,${group}__event_time\n${rows.map((line, index) => `${line},${answers[index]}\n`).join("")}`,
    );
    // Nothing was known at those times: the rows were written after them.
    const leakFree = { fileId, features: [`${group}:clicks`] };
    expect((await exported({ format: "CSV", ...leakFree })).split("\n")[2]).toBe(`${rows[1]},`);
  });

  test("refuse what cannot be exported when it is asked for, and say what is wrong with a file", async () => {
    const group = await store.group();
    const neither = startExport({ fileId: await store.upload("entities.csv", "user\n") });
    await expect(neither).rejects.toMatchObject({ details: { fields: [{ field: "view" }] } });
    const lines = await store.upload("entities.ndjson", "{}\n");
    const features = [`${group}:clicks`];
    await expect(startExport({ fileId: lines, features })).rejects.toMatchObject({
      details: { fields: [{ field: "fileId" }] },
    });
    // Left to guess, DuckDB would take the lines before the one that does not fit for something else.
    const ragged = await store.upload("entities.csv", `user,event_time\na,${at(0)}\nb\nc,${at(0)},5\n`);
    const refused = await store.ended(await startExport({ fileId: ragged, features }));
    expect(refused).toMatchObject({ state: "FAILED", error: { reason: "ENTITY_FILE_UNREADABLE" } });
    const fileId = await store.upload("entities.csv", `user,event_time\na,yesterday\n`);
    const job = await store.ended(await startExport({ fileId, features }));
    expect(job).toMatchObject({
      state: "FAILED",
      error: { message: expect.stringContaining("entities[0].event_time") },
    });
  });

  test("are seen in their namespace alone, and ended by who may start them", async () => {
    const group = await store.group();
    const viewer = holder("features.read", "features.readValues");
    await expect(startExport({ group }, holder("features.read"))).rejects.toMatchObject({
      code: "PERMISSION_DENIED",
    });
    const job = await store.ended(await rebuild(group));
    const cancel = (principal: Principal, namespace = NAMESPACE) =>
      services.featureJobs.cancel({ namespace, jobId: job.jobId }, store.call({ principal, namespace }));
    await expect(cancel(viewer)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
    expect(await cancel(OPERATOR)).toEqual(job);
    await expect(cancel(OPERATOR, "other")).rejects.toMatchObject({ reason: "FEATURE_JOB_NOT_FOUND" });
    const elsewhere = services.featureJobs.get({ namespace: "other", jobId: job.jobId });
    await expect(elsewhere).rejects.toMatchObject({ reason: "FEATURE_JOB_NOT_FOUND" });
    expect(await services.featureJobs.list({ namespace: "other", pageSize: 9 })).toEqual({ jobs: [] });
    const page = await services.featureJobs.list({ namespace: NAMESPACE, state: "SUCCEEDED", pageSize: 1 });
    expect(page.jobs).toEqual([job]);
  });
});

describe.each(jobSetups)("the claims of jobs on $name", ({ open }) => {
  let store: FeatureJobsFixture;
  beforeEach(async () => {
    store = await open("idle");
  }, 60_000);
  afterEach(() => store?.close());

  const claim = (leaseMs: number) => claimJob(store.database, ["REBUILD"], { leaseMs, maxAttempts: 3 });
  const queued = async () => {
    const group = await store.group();
    await store.write(group, [row("a", 1)]);
    return store.domain.services.featureJobs.startRebuild({ namespace: NAMESPACE, group }, store.call());
  };

  test("are held by one at a time, and a stale one changes nothing", async () => {
    const { jobId } = await queued();
    const stale = (await claim(0))!;
    const held = (await claim(60_000))!;
    expect(await claim(60_000)).toBeUndefined();
    const before = await store.domain.services.featureJobs.get({ namespace: NAMESPACE, jobId });
    expect(await extendClaim(store.database, stale, 60_000, { done: 9 })).toBe(false);
    expect(await keepPlace(store.database, stale, {})).toBe(false);
    expect(await succeedJob(store.database, stale, { rowCount: 9 }, 9)).toBe(false);
    await failJob(store.database, stale, { reason: "X", message: "x", badRows: [] });
    expect(await store.domain.services.featureJobs.get({ namespace: NAMESPACE, jobId })).toEqual(before);
    expect(await succeedJob(store.database, held, { rowCount: 1 }, 1)).toBe(true);
  });

  test("pass to another gateway when the one that holds them dies", async () => {
    const job = await queued();
    await claim(200);
    await store.domain.jobs.start();
    expect(await store.ended(job)).toMatchObject({ state: "SUCCEEDED", attempts: 2 });
  });

  test("are given up after three gateways died", async () => {
    const job = await queued();
    for (let attempt = 0; attempt < 3; attempt++) expect(await claim(0)).toBeDefined();
    await store.domain.jobs.start();
    expect(await store.ended(job)).toMatchObject({
      state: "FAILED",
      attempts: 3,
      error: { reason: "ATTEMPTS_EXHAUSTED" },
    });
  });

  test("go to the namespace that was served longest ago", async () => {
    await queued();
    const second = await queued();
    const others = "UPDATE feature_jobs SET namespace = 'other' WHERE job_id = $1";
    await store.database.query(others, [second.jobId]);
    const third = await queued();
    await claim(60_000);
    expect(await claim(60_000)).toMatchObject({ jobId: second.jobId });
    expect(await claim(60_000)).toMatchObject({ jobId: third.jobId });
  });
});

describe.each(jobSetups)("a long import on $name", ({ open }) => {
  const ROWS = 60_000;
  const LINES = Array.from({ length: ROWS }, (_, index) => `u${index},${index},${at(index % 60)}\n`);
  let store: FeatureJobsFixture;
  beforeEach(async () => {
    store = await open("idle");
  }, 60_000);
  afterEach(() => store?.close());

  const started = async () => {
    const group = await store.group();
    const fileId = await store.upload("rows.csv", `user,clicks,event_time\n${LINES.join("")}`);
    const { featureJobs } = store.domain.services;
    return { group, job: await featureJobs.startImport({ namespace: NAMESPACE, group, fileId }, store.call()) };
  };
  const stateOf = (jobId: string) => store.domain.services.featureJobs.get({ namespace: NAMESPACE, jobId });
  const isUnderWay = (jobId: string) =>
    eventually("some rows are written", async () => (await stateOf(jobId)).progress.done > 0, 30_000);
  const rowCount = async (group: string) =>
    (await store.domain.services.featureHistory.statistics({ namespace: NAMESPACE, group })).rowCount;

  test("is given back when its gateway stops, and goes on where it was", async () => {
    const { group, job } = await started();
    await store.domain.jobs.start();
    await isUnderWay(job.jobId);
    await store.domain.jobs.stop(5000);
    const left = await stateOf(job.jobId);
    expect(left).toMatchObject({ state: "QUEUED", attempts: 0 });
    const written = await rowCount(group);
    expect(written).toBeGreaterThan(0);
    expect(written).toBeLessThan(ROWS);
    await (await store.another()).jobs.start();
    expect(await store.ended(job)).toMatchObject({
      ...{ state: "SUCCEEDED", attempts: 1, result: { rowCount: ROWS, quarantinedRows: 0 } },
      progress: { done: ROWS, total: ROWS, unit: "ROWS" },
    });
    expect(await rowCount(group)).toBe(ROWS);
    expect(await store.online(group, "clicks", ["u0", `u${ROWS - 1}`])).toEqual([0, ROWS - 1]);
  }, 60_000);

  test("puts online what a gateway that died had only made durable", async () => {
    const group = await store.group();
    const fileId = await store.upload("rows.csv", `user,clicks,event_time\n${LINES.slice(0, 100).join("")}`);
    const asked = { namespace: NAMESPACE, group, fileId };
    await store.domain.jobs.start();
    const job = await store.ended(await store.domain.services.featureJobs.startImport(asked, store.call()));
    await store.domain.jobs.stop(5000);
    await store.redis?.use((driver) => driver.flushdb());
    await store.database.query("DELETE FROM feature_online");
    // As it was before the last thing that the gateway did.
    const restored = "UPDATE feature_jobs SET state = 'QUEUED', finished_at = NULL, result = NULL WHERE job_id = $1";
    await store.database.query(restored, [job.jobId]);
    await (await store.another()).jobs.start();
    expect(await store.ended(job)).toMatchObject({ state: "SUCCEEDED", result: { rowCount: 100 } });
    expect(await store.online(group, "clicks", ["u0", "u99"])).toEqual([0, 99]);
    expect(await rowCount(group)).toBe(100);
  }, 60_000);

  test("ends soon when it is cancelled, and writes nothing after that", async () => {
    const { group, job } = await started();
    await store.domain.jobs.start();
    await isUnderWay(job.jobId);
    const cancelled = await store.domain.services.featureJobs.cancel(
      { namespace: NAMESPACE, jobId: job.jobId },
      store.call(),
    );
    const written = await rowCount(group);
    expect(cancelled).toMatchObject({ state: "CANCELLED" });
    expect(written).toBeLessThan(ROWS);
    // The next one has the lane only when the runner has let go of the cancelled one.
    const small = await store.upload("small.csv", `user,clicks,event_time\nlast,1,${at(0)}\n`);
    const asked = { namespace: NAMESPACE, group: await store.group(), fileId: small };
    const since = performance.now();
    const next = await store.ended(await store.domain.services.featureJobs.startImport(asked, store.call()));
    expect(next).toMatchObject({ state: "SUCCEEDED" });
    expect(performance.now() - since).toBeLessThan(5000);
    expect(await rowCount(group)).toBe(written);
    expect(await stateOf(job.jobId)).toMatchObject({ state: "CANCELLED" });
    expect(await readdir(join(store.featuresDir, "files", NAMESPACE))).toHaveLength(2);
  }, 60_000);
});
