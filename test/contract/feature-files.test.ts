import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { truncate, utimes } from "node:fs/promises";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createFileFolder } from "../../src/services/features/files/file-folder.ts";
import { CreateFeatureFileRequest } from "../../src/services/features/files/file-model.ts";
import { purgeFiles } from "../../src/services/features/files/file-upkeep.ts";
import { type FeatureJobsFixture, jobSetups, NAMESPACE } from "./feature-jobs-fixture.ts";

const DAY_MS = 24 * 3_600_000;
const base64 = (text: string | Buffer) => Buffer.from(text).toString("base64");

describe.each(jobSetups)("files of rows on $name", ({ open }) => {
  let store: FeatureJobsFixture;
  let files: FeatureJobsFixture["domain"]["services"]["featureFiles"];
  beforeAll(async () => {
    store = await open("idle");
    files = store.domain.services.featureFiles;
  }, 60_000);
  afterAll(async () => {
    await store?.close();
    expect(store?.logged).toEqual([]);
  });

  const create = async (format = "CSV", name = "rows") => {
    const request = CreateFeatureFileRequest.parse({ namespace: NAMESPACE, name, format });
    return (await files.create(request, store.call())).fileId;
  };
  const append = (fileId: string, offset: number, text: string | Buffer, quotas = {}) =>
    files.append({ namespace: NAMESPACE, fileId, offset, data: base64(text) }, store.call({ quotas }));
  const finish = (fileId: string, sha256?: string) =>
    files.finish({ namespace: NAMESPACE, fileId, sha256 }, store.call());
  const read = async (fileId: string, offset = 0, length = 1_000_000) => {
    const { data, ...rest } = await files.read({ namespace: NAMESPACE, fileId, offset, length });
    return { text: Buffer.from(data, "base64").toString(), ...rest };
  };
  const pathOf = (fileId: string) => createFileFolder(store.featuresDir).pathOf(NAMESPACE, fileId);
  const parquet = async (select: string, options = "") => {
    const path = join(store.featuresDir, "made.parquet");
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    await connection.run(`COPY (${select}) TO '${path.replaceAll("'", "''")}' (FORMAT parquet${options})`);
    connection.disconnectSync();
    instance.closeSync();
    return import("node:fs/promises").then(({ readFile }) => readFile(path));
  };

  test("are appended to in order, finished and read back", async () => {
    const fileId = await create();
    expect(await append(fileId, 0, "user,ä\n")).toMatchObject({ state: "UPLOADING", sizeBytes: 8 });
    await expect(files.read({ namespace: NAMESPACE, fileId, offset: 0, length: 9 })).rejects.toMatchObject({
      reason: "FILE_NOT_READY",
    });
    expect(await append(fileId, 8, "a,1\n")).toMatchObject({ sizeBytes: 12 });
    const sha256 = createHash("sha256").update("user,ä\na,1\n").digest("hex");
    expect(await finish(fileId, sha256)).toMatchObject({ state: "READY", sizeBytes: 12, sha256 });
    expect(await finish(fileId)).toMatchObject({ state: "READY" });
    expect(await read(fileId)).toEqual({ text: "user,ä\na,1\n", sizeBytes: 12 });
    expect(await read(fileId, 8, 2)).toEqual({ text: "a,", sizeBytes: 12, nextOffset: 10 });
    expect(await read(fileId, 99)).toEqual({ text: "", sizeBytes: 12 });
    await expect(append(fileId, 12, "b,2\n")).rejects.toMatchObject({ reason: "FILE_STATE" });
  });

  test("take the same bytes again, and others only where they belong", async () => {
    const fileId = await create();
    await append(fileId, 0, "abcd");
    expect(await append(fileId, 0, "abcd")).toMatchObject({ sizeBytes: 4 });
    expect(await append(fileId, 1, "bc")).toMatchObject({ sizeBytes: 4 });
    for (const [offset, text] of [
      [0, "abcX"],
      [5, "e"],
      [2, "cde"],
    ] as const) {
      await expect(append(fileId, offset, text)).rejects.toMatchObject({
        code: "FAILED_PRECONDITION",
        reason: "UPLOAD_OFFSET",
        details: { metadata: { expectedOffset: "4" } },
      });
    }
    const both = await Promise.allSettled([append(fileId, 4, "xxxx"), append(fileId, 4, "yyyy")]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await finish(fileId)).toMatchObject({ sizeBytes: 8 });
    expect((await read(fileId)).text).toMatch(/^abcd(xxxx|yyyy)$/);
  });

  test("do not keep what was written and never acknowledged", async () => {
    const fileId = await create();
    await append(fileId, 0, "a\n");
    // As a gateway leaves it that died between the disk and the database.
    await createFileFolder(store.featuresDir).write(NAMESPACE, fileId, 2, Buffer.from("b\n"));
    await finish(fileId);
    expect(await read(fileId)).toEqual({ text: "a\n", sizeBytes: 2 });
  });

  test("are refused where their content is something else", async () => {
    const whole = await parquet("SELECT 1 AS a");
    const cases: readonly (readonly [format: string, content: string | Buffer, why: RegExp])[] = [
      ["PARQUET", "a,b\n1,2\n1,2\n", /does not begin and end/],
      ["PARQUET", whole.subarray(0, -1), /does not begin and end/],
      ["PARQUET", Buffer.concat([Buffer.from("PAR1"), Buffer.alloc(100, 7), Buffer.from("PAR1")]), /damaged/],
      ["CSV", whole, /NUL|UTF-8/],
      ["NDJSON", Buffer.from([0x7b, 0xff, 0x7d]), /UTF-8/],
      ["CSV", Buffer.from("a\n\xc3", "latin1"), /middle of a character/],
    ];
    for (const [format, content, why] of cases) {
      const fileId = await create(format);
      await append(fileId, 0, content);
      const refused = { code: "INVALID_ARGUMENT", reason: "FILE_UNREADABLE", message: expect.stringMatching(why) };
      await expect(finish(fileId), `${format} ${why}`).rejects.toMatchObject(refused);
    }
    const empty = await create();
    await expect(finish(empty)).rejects.toMatchObject({ reason: "FILE_STATE" });
    const other = await create();
    await append(other, 0, "a\n");
    await expect(finish(other, "0".repeat(64))).rejects.toMatchObject({ reason: "FILE_HASH" });
    expect(() => CreateFeatureFileRequest.parse({ namespace: NAMESPACE, name: "../x", format: "CSV" })).toThrow(/path/);
  });

  test("are refused where they would be far larger once unpacked", async () => {
    const bomb = await parquet(
      "SELECT repeat('a', 4000) || range AS text FROM range(100000)",
      ", COMPRESSION zstd, COMPRESSION_LEVEL 9, ROW_GROUP_SIZE 10240",
    );
    const fileId = await create("PARQUET");
    for (let offset = 0; offset < bomb.length; offset += 1_000_000) {
      await append(fileId, offset, bomb.subarray(offset, offset + 1_000_000));
    }
    await expect(finish(fileId)).rejects.toMatchObject({ reason: "FILE_UNREADABLE", message: /times its size/ });
  }, 30_000);

  test("count to the storage of their namespace", async () => {
    const fileId = await create();
    await expect(append(fileId, 0, "abc", { maxStorageMb: 0 })).rejects.toMatchObject({ reason: "QUOTA_EXCEEDED" });
    expect(await append(fileId, 0, "abc", { maxStorageMb: 1 })).toMatchObject({ sizeBytes: 3 });
  });

  test("are seen in their namespace alone, newest first, until they are deleted", async () => {
    const first = await create("CSV", "first.csv");
    const second = await create("NDJSON", "second.ndjson");
    const page = await files.list({ namespace: NAMESPACE, pageSize: 1 });
    expect(page.featureFiles).toMatchObject([{ fileId: second, name: "second.ndjson" }]);
    const next = await files.list({ namespace: NAMESPACE, pageSize: 1, pageToken: page.nextPageToken });
    expect(next.featureFiles).toMatchObject([{ fileId: first }]);
    expect(await files.list({ namespace: "other", pageSize: 9 })).toEqual({ featureFiles: [] });
    const elsewhere = { namespace: "other", fileId: first };
    for (const asking of [
      () => files.get(elsewhere),
      () => files.delete(elsewhere),
      () => files.finish(elsewhere, store.call()),
    ]) {
      await expect(asking()).rejects.toMatchObject({ code: "NOT_FOUND" });
    }
    await append(first, 0, "a\n");
    expect(existsSync(pathOf(first))).toBe(true);
    await files.delete({ namespace: NAMESPACE, fileId: first });
    expect(existsSync(pathOf(first))).toBe(false);
    await expect(files.get({ namespace: NAMESPACE, fileId: first })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("say so where their content is gone", async () => {
    const fileId = await store.upload("rows.csv", "a\n1\n");
    await truncate(pathOf(fileId), 1);
    await expect(read(fileId)).rejects.toMatchObject({ reason: "FILE_CONTENT_LOST" });
  });

  test("go by themselves when their time is over, unless a job reads them", async () => {
    const group = await store.group();
    const [free, read] = [await store.upload("free.csv", "x\n"), await store.upload("read.csv", "x\n")];
    await store.domain.services.featureJobs.startImport({ namespace: NAMESPACE, group, fileId: read }, store.call());
    await expect(files.delete({ namespace: NAMESPACE, fileId: read })).rejects.toMatchObject({ reason: "FILE_IN_USE" });
    await store.database.query("UPDATE feature_exchange_files SET expires_at = now() WHERE file_id = ANY($1::uuid[])", [
      [free, read],
    ]);
    await expect(files.get({ namespace: NAMESPACE, fileId: free })).rejects.toMatchObject({ code: "NOT_FOUND" });
    // What a gateway left behind that died before its file was one, and what another is only just writing.
    const folder = createFileFolder(store.featuresDir);
    const [old, young] = ["01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"];
    for (const fileId of [old, young]) await folder.write(NAMESPACE, fileId, 0, Buffer.from("x"));
    const yesterday = new Date(Date.now() - 2 * DAY_MS);
    await utimes(pathOf(old), yesterday, yesterday);
    await utimes(pathOf(read), yesterday, yesterday);
    await purgeFiles({ database: store.database, folder, clock: systemClock }, new AbortController().signal);
    expect([free, read, old, young].map((fileId) => existsSync(pathOf(fileId)))).toEqual([false, true, false, true]);
  });
});
