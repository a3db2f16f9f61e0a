import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Migration, migrate } from "./migrate.ts";
import { createPgliteDatabase } from "./pglite-database.ts";
import { copyPgliteTemplate, makePgliteTemplate, pgliteTemplateDir } from "./pglite-template.ts";

const migrations: readonly Migration[] = [{ id: 1, name: "first", sql: "CREATE TABLE made (id int8)" }];

let templates: string;
let templateDir: string;
let baseDir: string;
let dataDir: string;

beforeAll(async () => {
  templates = mkdtempSync(join(tmpdir(), "tarl-templates-"));
  templateDir = pgliteTemplateDir(templates, migrations);
  mkdirSync(join(templates, "of-another-version"));
  await makePgliteTemplate(templateDir, migrations, (folder) => createPgliteDatabase({ dataDir: folder }));
}, 60_000);
afterAll(() => rmSync(templates, { recursive: true, force: true }));

beforeEach(() => {
  baseDir = mkdtempSync(join(tmpdir(), "tarl-template-"));
  dataDir = join(baseDir, "data", "postgres");
});
afterEach(() => rmSync(baseDir, { recursive: true, force: true }));

test("a new folder is a copy of it, already migrated, and closed to others", async () => {
  const statements: string[] = [];
  const database = await createPgliteDatabase({ dataDir, templateDir, onQuery: (text) => statements.push(text) });
  await migrate(database, migrations);
  expect(statements.filter((text) => text.includes("CREATE"))).toEqual([]);
  await database.query("INSERT INTO made VALUES (1)", []);
  await database.close();
  for (const folder of [join(baseDir, "data"), dataDir]) expect(statSync(folder).mode & 0o077).toBe(0);
  // What it wrote is not in the template.
  await copyPgliteTemplate(templateDir, `${dataDir}2`);
  const other = await createPgliteDatabase({ dataDir: `${dataDir}2` });
  expect((await other.query("SELECT * FROM made", [])).rows).toEqual([]);
  await other.close();
});

test("making it leaves it and nothing else, and is done once", async () => {
  expect(readdirSync(templates)).toEqual([templateDir.slice(templates.length + 1)]);
  await makePgliteTemplate(templateDir, migrations, () => Promise.reject(new Error("must not be opened again")));
});

test("a user who did not install can read all of it", () => {
  const entries = readdirSync(templateDir, { recursive: true, withFileTypes: true });
  const closed = entries.filter((entry) => (statSync(join(entry.parentPath, entry.name)).mode & 0o004) === 0);
  expect(closed).toEqual([]);
});

test("any change of a migration leads to another template", () => {
  const edited = [{ ...migrations[0]!, sql: "CREATE TABLE made (id int4)" }];
  const longer = [...migrations, { id: 2, name: "second", sql: "SELECT 1" }];
  const places = [migrations, edited, longer, []].map((list) => pgliteTemplateDir(templates, list));
  expect(new Set(places).size).toBe(4);
});

test("a copy that was cut short is thrown away, and a folder that is there is left alone", async () => {
  mkdirSync(`${dataDir}.new`, { recursive: true });
  writeFileSync(join(`${dataDir}.new`, "half"), "");
  await copyPgliteTemplate(templateDir, dataDir);
  expect(existsSync(join(dataDir, "PG_VERSION"))).toBe(true);
  expect(existsSync(join(dataDir, "half"))).toBe(false);

  rmSync(dataDir, { recursive: true });
  mkdirSync(dataDir);
  await copyPgliteTemplate(templateDir, dataDir);
  expect(readdirSync(dataDir)).toEqual([]);
});

test("one that is missing, broken or read-only is not used", async () => {
  await copyPgliteTemplate(join(templates, "missing"), dataDir);
  const broken = join(baseDir, "broken");
  mkdirSync(broken);
  await copyPgliteTemplate(broken, dataDir);
  const readOnly = join(baseDir, "read-only");
  await copyPgliteTemplate(templateDir, readOnly);
  chmodSync(join(readOnly, "PG_VERSION"), 0o444);
  await copyPgliteTemplate(readOnly, dataDir);
  expect(existsSync(dataDir)).toBe(false);
});
