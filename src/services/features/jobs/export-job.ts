import { rm } from "node:fs/promises";
import { invalidArgument } from "../../../core/errors.ts";
import type { IdGenerator } from "../../../core/ids.ts";
import type { Database } from "../../../platform/postgres/database.ts";
import type { FeatureCatalog } from "../definitions/feature-catalog.ts";
import type { FileFolder } from "../files/file-folder.ts";
import { DEFAULT_KEPT_MS } from "../files/file-model.ts";
import { getReady, MAX_FILES, refuseMore } from "../files/file-service.ts";
import { insertFile, type StoredFile } from "../files/file-store.ts";
import type { StorageGuard } from "../ingestion/storage-guard.ts";
import type { Exported, ExportTarget, OfflineStore, PointInTimeSource } from "../offline/offline-store.ts";
import { chooseFeatures, refuseOnlineOnly, ttlMicrosOf } from "../reading/history-service.ts";
import { columnsToRead } from "../reading/online-read-service.ts";
import { microsFromText } from "../values/micros.ts";
import type { StartFeatureExportRequest, StartFeatureRowsExportRequest } from "./job-model.ts";
import type { JobRun, JobWork } from "./job-run.ts";

export interface ExportOptions {
  readonly database: Database;
  readonly catalog: FeatureCatalog;
  readonly offline: OfflineStore;
  readonly folder: FileFolder;
  readonly checkStorage: StorageGuard;
  readonly ids: IdGenerator;
}

/** Makes a file of a join or a range. Each attempt makes one of its own, which is there once the job has succeeded. */
export function createExport(options: ExportOptions): JobWork {
  const { database, catalog, offline, folder, checkStorage, ids } = options;

  const join = async (
    { job, signal, report }: JobRun,
    asked: StartFeatureExportRequest,
    target: ExportTarget,
  ): Promise<Exported> => {
    const { namespace } = job;
    const entities = entityFormat(await getReady(database, namespace, asked.fileId));
    const sources = await sourcesOf(catalog, namespace, asked);
    return offline.exportPointInTime(
      {
        entities: {
          ...{ kind: "FILE", format: entities, timeColumn: asked.timeColumn },
          path: folder.pathOf(namespace, asked.fileId),
        },
        sources,
        knownAt: asked.knownAt,
      },
      { ...target, withStatus: asked.withStatus },
      { signal, onProgress: (share) => report({ done: Math.floor(100 * share), total: 100 }) },
    );
  };

  const range = async (
    { job, signal }: JobRun,
    asked: StartFeatureRowsExportRequest,
    target: ExportTarget,
  ): Promise<Exported> => {
    const version = await catalog.version(job.namespace, asked.group, asked.version);
    refuseOnlineOnly(version);
    const features = chooseFeatures(version, asked.features);
    const from = asked.from === undefined ? undefined : microsFromText(asked.from);
    const to = asked.to === undefined ? undefined : microsFromText(asked.to);
    return offline.exportRange(version.dataset, { features, from, to }, target, { signal });
  };

  return async (run) => {
    const { job, scope, report } = run;
    const { namespace } = job;
    const request = job.request as StartFeatureExportRequest | StartFeatureRowsExportRequest;
    const fileId = ids.uuid();
    const path = folder.pathOf(namespace, fileId);
    const target: ExportTarget = { path, format: request.format };
    report({ done: 0, total: 100 });
    await checkStorage({ namespace: scope }, 0);
    const exported = "group" in request ? await range(run, request, target) : await join(run, request, target);
    const undo = () => rm(path, { force: true });
    try {
      await checkStorage({ namespace: scope }, exported.sizeBytes);
      const file = {
        ...{ fileId, namespace, format: request.format, state: "READY" as const, sizeBytes: exported.sizeBytes },
        ...{ jobId: job.jobId, createdBy: job.createdBy, keepMs: DEFAULT_KEPT_MS },
        name: `export-${job.jobId}.${request.format.toLowerCase()}`,
        sha256: await folder.sha256(namespace, fileId, run.signal),
      };
      report({ done: 100, total: 100 });
      return {
        result: { rowCount: exported.rowCount, fileId },
        undo,
        alongside: async (transaction) => {
          if ((await insertFile(transaction, file, MAX_FILES)) === undefined) refuseMore(namespace);
        },
      };
    } catch (error) {
      await undo();
      throw error;
    }
  };
}

/** Refuses what the join could not read; answers what it reads. */
export async function sourcesOf(
  catalog: FeatureCatalog,
  namespace: string,
  { view, features }: Pick<StartFeatureExportRequest, "view" | "features">,
): Promise<PointInTimeSource[]> {
  const columns = await columnsToRead(catalog, namespace, view, features);
  const versions = [...new Set(columns.map(({ version }) => version))];
  return versions.map((version) => {
    refuseOnlineOnly(version);
    const ofVersion = columns.filter((column) => column.version === version);
    return {
      dataset: version.dataset,
      // A view says what its columns are called; what was asked for by name is called as its feature is.
      features: ofVersion.map(({ name, feature }) => ({
        name: feature.name,
        as: view === undefined ? feature.name : name,
      })),
      ttlMicros: ttlMicrosOf(version),
    };
  });
}

export function entityFormat({ format }: StoredFile): "PARQUET" | "CSV" {
  if (format !== "NDJSON") return format;
  throw invalidArgument([
    { field: "fileId", message: "must be a Parquet or CSV file: entity rows are not read from NDJSON" },
  ]);
}
