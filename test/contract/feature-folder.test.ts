import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/core/clock.ts";
import { createIdGenerator } from "../../src/core/ids.ts";
import { migrate } from "../../src/platform/postgres/migrate.ts";
import { featureMigrations } from "../../src/services/features/migrations.ts";
import { createFolderCheck } from "../../src/services/features/offline/folder-mark.ts";
import { databaseEngines, type OpenEngine } from "./engines.ts";

const ids = createIdGenerator(systemClock);
const folders: string[] = [];
const folder = async () => {
  const made = await mkdtemp(join(tmpdir(), "tarl-folder-"));
  folders.push(made);
  return made;
};

let engines: OpenEngine[];
beforeAll(async () => {
  engines = await Promise.all([databaseEngines[1]!.open(), databaseEngines[1]!.open()]);
  for (const { database } of engines) await migrate(database, featureMigrations);
});
afterAll(async () => {
  for (const engine of engines) await engine.close();
  for (const made of folders) await rm(made, { recursive: true, force: true });
});

test("gateways of one database share one folder, and databases share none", async () => {
  const [{ database }, other] = engines as [OpenEngine, OpenEngine];
  const shared = join(await folder(), "made-on-first-use");
  const gateways = Array.from({ length: 8 }, () => createFolderCheck({ database, dataDir: shared, ids }));
  await Promise.all(gateways.map((check) => check()));

  const elsewhere = createFolderCheck({ database, dataDir: await folder(), ids });
  await expect(elsewhere()).rejects.toMatchObject({ reason: "FEATURES_FOLDER_NOT_SHARED" });
  await expect(
    createFolderCheck({ database: other.database, dataDir: await folder(), ids })(),
  ).resolves.toBeUndefined();
  const stranger = createFolderCheck({ database: other.database, dataDir: shared, ids });
  await expect(stranger()).rejects.toMatchObject({ reason: "FEATURES_FOLDER_NOT_SHARED" });
});

test("a folder is looked at again after a refusal", async () => {
  const [{ database }] = engines as [OpenEngine];
  const dataDir = await folder();
  const check = createFolderCheck({ database, dataDir, ids });
  await expect(check()).rejects.toMatchObject({ reason: "FEATURES_FOLDER_NOT_SHARED" });
  const { rows } = await database.query<{ mark: string }>("SELECT mark FROM feature_folder", []);
  await writeFile(join(dataDir, ".tarl-features"), rows[0]!.mark);
  await expect(check()).resolves.toBeUndefined();
});
