import { existsSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockFolder } from "./folder-lock.ts";

let baseDir: string;
let folder: string;
let lockPath: string;

beforeEach(() => {
  baseDir = mkdtempSync(join(tmpdir(), "tarl-lock-"));
  folder = join(baseDir, "postgres");
  lockPath = `${folder}.lock`;
});
afterEach(() => rmSync(baseDir, { recursive: true, force: true }));

const makeOld = () => {
  const anHourAgo = Date.now() / 1000 - 3_600;
  utimesSync(lockPath, anHourAgo, anHourAgo);
};
const leaveLock = (holder: object) => writeFileSync(lockPath, JSON.stringify(holder));

test("the same process cannot lock a folder twice, but can after releasing it", async () => {
  const first = await lockFolder(folder);
  await expect(lockFolder(folder)).rejects.toThrowError(`in use by process ${process.pid}`);
  await first.release();
  expect(existsSync(lockPath)).toBe(false);
  await (await lockFolder(folder)).release();
});

test("of many who find a dead process's lock at once, exactly one takes it over", async () => {
  leaveLock({ pid: 2 ** 22 + 1, host: hostname(), startedAt: "1" });
  const answers = await Promise.allSettled(Array.from({ length: 5 }, () => lockFolder(folder)));
  expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("a lock of an earlier process with this one's pid, as containers have, is taken over", async () => {
  leaveLock({ pid: process.pid, host: hostname(), startedAt: "1" });
  await (await lockFolder(folder)).release();
});

test("a lock from another host is honoured while it is fresh, and taken over when nobody touches it any more", async () => {
  leaveLock({ pid: 1, host: "elsewhere", startedAt: "" });
  await expect(lockFolder(folder)).rejects.toThrowError("process 1 on elsewhere");
  makeOld();
  await (await lockFolder(folder)).release();
});

test("an empty lock file is being written, unless it is old: then a crash left it", async () => {
  writeFileSync(lockPath, "");
  await expect(lockFolder(folder)).rejects.toThrowError("just opening");
  makeOld();
  await (await lockFolder(folder)).release();
});
