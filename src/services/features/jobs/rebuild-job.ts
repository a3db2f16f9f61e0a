import { AppError, notFound } from "../../../core/errors.ts";
import type { Queryable } from "../../../platform/postgres/database.ts";
import type { FeatureCatalog, ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { PutOnline } from "../ingestion/put-online.ts";
import type { OfflineStore, RowPage } from "../offline/offline-store.ts";
import type { OnlineStore } from "../online/online-store.ts";
import { getTendedDataset } from "../upkeep/dataset-store.ts";
import type { Dataset } from "../values/dataset.ts";
import { entityText } from "../values/entity-key.ts";
import { microsFromText } from "../values/micros.ts";
import { packRow, stampRow } from "../values/packed-row.ts";
import type { EntityRow } from "../values/row-batch.ts";
import type { StartFeatureRebuildRequest } from "./job-model.ts";
import type { JobWork } from "./job-run.ts";

export interface RebuildOptions {
  readonly database: Queryable;
  readonly catalog: FeatureCatalog;
  readonly offline: OfflineStore;
  readonly online: OnlineStore;
  readonly putOnline: PutOnline;
}

/**
 * Puts the newest row of each entity online. The online store takes only rows that win over what it
 * has, so reads and writes go on meanwhile, and doing it twice ends the same.
 */
export function createRebuild({ database, catalog, offline, online, putOnline }: RebuildOptions): JobWork {
  return async ({ job, signal, report }) => {
    const { namespace, group, version: number, from, to } = job.request as StartFeatureRebuildRequest;
    const version = await catalog.version(namespace, group, number);
    refuseRebuild(version);
    const { datasetId } = version.dataset;
    // Its newest definition: a version may know less than the rows hold.
    const tended = (await getTendedDataset(database, datasetId)) ?? missing(group);
    const { dataset } = tended;
    let rowCount = 0;
    const scan = {
      features: dataset.features.map(({ name }) => name),
      from: from === undefined ? undefined : microsFromText(from),
      to: to === undefined ? undefined : microsFromText(to),
    };
    for await (const page of offline.scanLatest(dataset, scan, { signal })) {
      await putOnline({ ...tended, online: true }, packPage(dataset, page));
      rowCount += page.rowCount;
      report({ done: rowCount });
      if ((await getTendedDataset(database, datasetId))?.isOrphan ?? true) {
        // The group was deleted meanwhile: what was put after that must not stay.
        await online.clear(datasetId);
        missing(group);
      }
      signal.throwIfAborted();
    }
    return { result: { rowCount } };
  };
}

/** FAILED_PRECONDITION where there is nothing to put online, or nothing to take it from. */
export function refuseRebuild({ group, version, online, offline }: ResolvedVersion): void {
  if (online && offline) return;
  const [reason, where] = online ? ["NOT_OFFLINE", "keeps no history"] : ["NOT_ONLINE", "is not kept online"];
  throw new AppError(
    "FAILED_PRECONDITION",
    reason!,
    `Feature group "${group}" ${where} in version ${version}, so it cannot be rebuilt. Make a version that is both online and offline.`,
  );
}

function packPage(dataset: Dataset, page: RowPage<never>): EntityRow[] {
  return page.entities.map((entity, index) => {
    const values = page.columns.map(({ values }) => values[index]);
    const row = packRow(page.eventTimes[index]!, dataset.features, values);
    stampRow(row, page.createdAt[index]!, page.sequences[index]!);
    return { entity: entityText(entity), row };
  });
}

function missing(group: string): never {
  throw notFound("feature group", group);
}
