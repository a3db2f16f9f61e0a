import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { eventually } from "../../../test/support/eventually.ts";
import { createPgliteDatabase } from "./pglite-database.ts";

const writer = new URL("../../../test/support/pglite-writer.ts", import.meta.url).pathname;
const ROWS_BEFORE_KILL = 200;

let baseDir: string;
let dataDir: string;
let children: ChildProcess[];

beforeEach(() => {
  baseDir = mkdtempSync(join(tmpdir(), "tarl-pglite-"));
  // Its parent is not there either: opening makes both.
  dataDir = join(baseDir, "data", "postgres");
  children = [];
});
afterEach(async () => {
  for (const child of children) await kill(child);
  rmSync(baseDir, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

/** Starts a process that writes into the folder, waits for so many rows, and answers how to read the last acknowledged one. */
async function startWriter(rows: number): Promise<{ child: ChildProcess; last: () => number }> {
  const child = spawn(process.execPath, [writer, dataDir], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  let output = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on("data", (chunk: Buffer) => {
      output += chunk.toString("utf8");
      if (output.split("\n").length > rows + 1) resolve();
    });
    child.once("exit", () => reject(new Error("the writer ended by itself")));
  });
  const last = () => Number(output.slice(0, output.lastIndexOf("\n")).split("\n").at(-1));
  return { child, last };
}

test("what was acknowledged is there after kill -9, again and again, and the dead process's lock is taken over", async () => {
  let acknowledged = 0;
  for (let round = 0; round < 2; round += 1) {
    const { child, last } = await startWriter(ROWS_BEFORE_KILL);
    await kill(child);
    acknowledged = last();
  }
  const database = await createPgliteDatabase({ dataDir });
  const { rows } = await database.query<{ count: number; max: number }>(
    "SELECT count(*) AS count, max(id) AS max FROM written",
    [],
  );
  await database.close();
  expect(acknowledged).toBeGreaterThanOrEqual(2 * ROWS_BEFORE_KILL);
  expect(rows[0]!.max).toBeGreaterThanOrEqual(acknowledged);
  // Every row before the last is there: nothing acknowledged is missing in between.
  expect(rows[0]!.count).toBe(rows[0]!.max);
});

test("a folder that another process has open is refused, naming that process", async () => {
  const { child } = await startWriter(1);
  await expect(createPgliteDatabase({ dataDir })).rejects.toThrowError(
    new RegExp(`in use by process ${child.pid}\\b.*TARL_DATA_DIR`),
  );
});

test("opens anew after closing, with what it held, and closes twice without harm", async () => {
  const first = await createPgliteDatabase({ dataDir });
  await first.query("CREATE TABLE kept (id int8); INSERT INTO kept VALUES (1)");
  await Promise.all([first.close(), first.close()]);
  expect(existsSync(`${dataDir}.lock`)).toBe(false);
  const second = await createPgliteDatabase({ dataDir });
  expect((await second.query("SELECT id FROM kept", [])).rows).toEqual([{ id: 1 }]);
  await second.close();
});

test("sweeps up after itself, because nothing else does", async () => {
  const database = await createPgliteDatabase({ vacuumEveryMs: 10 });
  await database.query('CREATE TABLE "Odd ""name" (id int8); INSERT INTO "Odd ""name" VALUES (1)');
  const [table] = await eventually("it was vacuumed and counted", async () => {
    const { rows } = await database.query(
      "SELECT reltuples::int8 AS rows FROM pg_class WHERE relname = 'Odd \"name'",
      [],
    );
    return rows[0]?.rows === 1 && rows;
  });
  expect(table).toEqual({ rows: 1 });
  await database.close();
});
