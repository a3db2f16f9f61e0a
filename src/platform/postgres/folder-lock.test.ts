import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../../../test/support/eventually.ts";
import { lockFolder } from "./folder-lock.ts";
import { askProc, askPs, findProcess } from "./folder-lock-process.ts";

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

test("a lock whose number another process has by now is taken over; that of the process itself is not", async () => {
  const other = { pid: process.ppid, host: hostname() };
  leaveLock({ ...other, startedAt: "1" });
  await (await lockFolder(folder)).release();
  leaveLock({ ...other, ...(await findProcess(other.pid)) });
  await expect(lockFolder(folder)).rejects.toThrowError(`in use by process ${other.pid}`);
});

test("ps tells processes apart where there is no /proc", async () => {
  const [own, again, none] = await Promise.all([askPs(process.pid), askPs(process.pid), askPs(2 ** 22 + 1)]);
  expect(own).toMatchObject({ startedAt: expect.stringMatching(/\d\d:\d\d:\d\d \d{4}$/) });
  expect(again).toEqual(own);
  expect(none).toBeUndefined();
});

test("a process that was killed a moment ago is waited for", async () => {
  const killed = spawn("sleep", ["60"], { stdio: "ignore" });
  leaveLock({ pid: killed.pid!, host: hostname(), ...(await findProcess(killed.pid!)) });
  const locking = lockFolder(folder);
  await eventually("the holder is looked at", () => existsSync(`${lockPath}.takeover`));
  killed.kill("SIGKILL");
  await (await locking).release();
});

test.runIf(platform() === "linux")("a lock of a killed process that nobody has reaped is taken over", async () => {
  // The shell becomes a sleep, which never asks how its child ended.
  const parent = spawn("sh", ["-c", "sleep 60 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
  try {
    const [line] = (await once(parent.stdout, "data")) as [Buffer];
    const pid = Number(line.toString());
    const stat = (of: number | undefined) => readFileSync(`/proc/${of}/stat`, "utf8").split(/ \(|\) | /);
    await eventually("the shell has become a sleep", () => stat(parent.pid)[1] === "sleep");
    leaveLock({ pid, host: hostname(), ...(await findProcess(pid)) });
    process.kill(pid, "SIGKILL");
    await eventually("it is a zombie", () => stat(pid)[2] === "Z");
    expect(await Promise.all([askProc(pid), askPs(pid)])).toEqual([undefined, undefined]);
    await (await lockFolder(folder)).release();
  } finally {
    parent.kill("SIGKILL");
  }
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
