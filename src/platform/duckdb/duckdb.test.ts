import { existsSync, mkdtempSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppError } from "../../core/errors.ts";
import { createDuckdb, type Duckdb, SPILL_FOLDER } from "./duckdb.ts";
import { DuckdbError, toDuckdbError } from "./duckdb-error.ts";
import { quoteName, quotePath, quoteText } from "./sql-text.ts";

const ENDLESS = "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE hash(a.range, b.range) = 1";

describe("DuckDB in this process", () => {
  let parent: string;
  let dataDir: string;
  let duckdb: Duckdb;
  beforeEach(() => {
    parent = mkdtempSync(join(tmpdir(), "tarl-duckdb-"));
    dataDir = join(parent, "da'ta[1]");
    duckdb = createDuckdb({ dataDir, memoryLimitMb: 64, threads: 2 });
  });
  afterEach(async () => {
    await duckdb.close();
    await rm(parent, { recursive: true, force: true });
  });
  const query = (sql: string, signal?: AbortSignal) => duckdb.use((session) => session.rows(sql), signal);

  it("reads and writes inside of the data folder, and nowhere else", async () => {
    const inside = join(dataDir, "a.csv");
    await query(`COPY (SELECT 1 AS a) TO ${quoteText(inside)} (FORMAT csv)`);
    expect(await query(`SELECT CAST(a AS DOUBLE) FROM read_csv(${quotePath(inside)})`)).toEqual([[1]]);
    const outside = join(parent, "b.csv");
    for (const statement of [
      `COPY (SELECT 1 AS a) TO ${quoteText(outside)} (FORMAT csv)`,
      `COPY (SELECT 1 AS a) TO ${quoteText(join(dataDir, "..", "b.csv"))} (FORMAT csv)`,
      "SELECT * FROM read_csv('/etc/passwd')",
      "INSTALL httpfs",
      "ATTACH '/tmp/other.db'",
      "SET memory_limit = '8GB'",
      "SET enable_external_access = true",
    ]) {
      await expect(query(statement), statement).rejects.toThrow();
    }
    expect(existsSync(outside)).toBe(false);
  });

  it("spills what does not fit into memory, and clears it away", async () => {
    // 1.5 million texts of 57 characters are more than it may use.
    const rows = await query(
      "SELECT CAST(count(*) AS DOUBLE) FROM (SELECT repeat(CAST(hash(range) AS VARCHAR), 3) AS t FROM range(1500000) ORDER BY t LIMIT 1499999)",
    );
    expect(rows).toEqual([[1_499_999]]);
    await duckdb.close();
    expect(existsSync(join(dataDir, SPILL_FOLDER))).toBe(true);
    expect(await readdir(join(dataDir, SPILL_FOLDER))).toEqual([]);
  });

  it("interrupts a query whose caller is gone, with the reason, and gives its place to the next", async () => {
    const small = createDuckdb({ dataDir, maxConcurrent: 1, threads: 1 });
    const aborter = new AbortController();
    const reason = new AppError("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "Too late.");
    const endless = small.use((session) => session.rows(ENDLESS), aborter.signal);
    const waiting = new AbortController();
    const second = small.use((session) => session.rows(ENDLESS), waiting.signal);
    const third = small.use((session) => session.rows("SELECT 'next'"));
    waiting.abort(reason);
    await expect(second).rejects.toBe(reason);
    aborter.abort(reason);
    await expect(endless).rejects.toBe(reason);
    expect(await third).toEqual([["next"]]);
    await small.close();
    await expect(small.use(async () => {})).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("ends a query whose result is read only in part", async () => {
    const small = createDuckdb({ dataDir, maxConcurrent: 1 });
    for await (const chunk of small.iterate((session) =>
      session.chunks("SELECT CAST(range AS DOUBLE) FROM range(100000)"),
    )) {
      expect(chunk.rowCount).toBe(2048);
      break;
    }
    expect(await small.use((session) => session.rows("SELECT 'next'"))).toEqual([["next"]]);
    await small.close();
  });

  it("says what is wrong without values, names or paths", async () => {
    const error = await query("SELECT CAST('s3cret' AS INTEGER)").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DuckdbError);
    expect(String(error)).toContain("Conversion");
    expect(String(error)).not.toContain("s3cret");
    const missing = await query(`SELECT * FROM read_csv(${quotePath(join(dataDir, "missing.csv"))})`).catch(
      (thrown: unknown) => thrown as AppError,
    );
    expect(missing).toMatchObject({ code: "UNAVAILABLE", reason: "FILES_UNAVAILABLE" });
    expect(String((missing as AppError).cause)).not.toContain("missing.csv");
    const memory = toDuckdbError(new Error("Out of Memory Error: could not allocate block of size 256.0 KiB"));
    expect(memory).toMatchObject({ kind: "Out of Memory" });
  });

  it("answers a query that is too large for memory and disk with RESOURCE_EXHAUSTED", async () => {
    await expect(query("SELECT list(range) FROM range(100000000)")).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      reason: "QUERY_TOO_LARGE",
    });
  });

  it("quotes names and texts", async () => {
    expect(await query(`SELECT ${quoteName('a"b')} FROM (SELECT ${quoteText("it's")} AS ${quoteName('a"b')})`)).toEqual(
      [["it's"]],
    );
  });
});
