import type { DuckdbSession } from "../../../platform/duckdb/session.ts";
import { quoteName } from "../../../platform/duckdb/sql-text.ts";
import type { Dataset } from "../values/dataset.ts";
import { featureIndexes } from "./columns.ts";
import { csvText } from "./csv-text.ts";
import type { OfflineContext } from "./offline-context.ts";
import type { Exported, ExportRangeRequest, ExportTarget } from "./offline-store.ts";
import { CSV_OPTIONS, copyToFile, PARQUET_OPTIONS } from "./parquet-file.ts";
import { openSnapshot } from "./snapshot.ts";

/** All rows of a time range as a file: entity keys, features, event_time; by event time. What is in it can be imported again. */
export async function exportRange(
  context: OfflineContext,
  session: DuckdbSession,
  dataset: Dataset,
  { features: names, from, to }: ExportRangeRequest,
  target: ExportTarget,
): Promise<Exported> {
  const features = [...new Set(featureIndexes(dataset, names))];
  const part = { dataset, features, fromEventTime: from, toEventTime: to === undefined ? undefined : to - 1 };
  const { relations, release } = await openSnapshot(context, session, [part]);
  const isCsv = target.format === "CSV";
  try {
    const columns = [
      ...dataset.entityKeys.map(({ name }, index) => `k${index} AS ${quoteName(name)}`),
      ...features.map((index) => {
        const { name, type } = dataset.features[index]!;
        return `${isCsv ? csvText(type, `f${index}`) : `f${index}`} AS ${quoteName(name)}`;
      }),
      `${isCsv ? csvText("TIMESTAMP", "event_time") : "event_time"} AS event_time`,
    ];
    const select = `SELECT ${columns.join(", ")} FROM ${relations[0]!.sql} r ORDER BY r.event_time, r.write_sequence`;
    return await copyToFile(session, context.dataDir, {
      select,
      path: target.path,
      options: isCsv ? CSV_OPTIONS : PARQUET_OPTIONS,
    });
  } finally {
    release();
  }
}
