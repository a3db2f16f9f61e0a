import type { Clock } from "../../../core/clock.ts";
import { AppError, invalidArgument } from "../../../core/errors.ts";
import type { FeatureCatalog, ResolvedColumn, ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { OnlineStore } from "../online/online-store.ts";
import { entityText } from "../values/entity-key.ts";
import type { StoredValue } from "../values/feature-type.ts";
import { MICROS_PER_MS, type Micros, microsToText } from "../values/micros.ts";
import { readEventTime, readValue } from "../values/packed-row.ts";
import { answerValues } from "./answer-columns.ts";
import type { FeatureColumn, FeatureSource, FeatureStatus } from "./column-model.ts";
import type { ReadFeaturesRequest, ReadFeaturesResponse } from "./online-model.ts";
import { type ReadEntities, readEntities } from "./read-entities.ts";

export interface OnlineReadService {
  read(request: ReadFeaturesRequest): Promise<ReadFeaturesResponse>;
}

export interface OnlineReadServiceOptions {
  readonly catalog: FeatureCatalog;
  readonly online: OnlineStore;
  readonly clock: Clock;
}

/** The rows of one version, as the store answered them, and what that means for every value of a row. */
interface SourceRows {
  readonly version: ResolvedVersion;
  readonly rows: readonly (Buffer | undefined)[];
  /** PRESENT where the row may be answered with. */
  readonly statuses: readonly FeatureStatus[];
}

/** Reads the newest values of entities: one round trip to the store, whatever number of groups is read. */
export function createOnlineReadService({ catalog, online, clock }: OnlineReadServiceOptions): OnlineReadService {
  return {
    async read({ namespace, view, features, entities, maxStalenessMs }) {
      const columns = await columnsToRead(catalog, namespace, view, features);
      const versions = [...new Set(columns.map(({ version }) => version))];
      refuseOffline(versions);
      const sources = await readSources(versions, readEntities(entities, versions), maxStalenessMs);
      return {
        columns: columns.map((column) => answerColumn(column, versions.indexOf(column.version), sources)),
        sources: sources.map(answerSource),
      };
    },
  };

  async function readSources(
    versions: readonly ResolvedVersion[],
    entities: ReadEntities,
    maxStalenessMs: number,
  ): Promise<SourceRows[]> {
    // A row without an entity is not asked for, so where each answer belongs is kept.
    const asked = versions.map(({ dataset }) => entityTexts(entities, dataset.entityKeys));
    const found = await online.get(
      versions.map(({ dataset }, index) => ({ datasetId: dataset.datasetId, entities: asked[index]!.texts })),
      { maxStalenessMs },
    );
    const now = clock.now() * MICROS_PER_MS;
    return versions.map((version, index) => {
      const rows = placeRows(asked[index]!, found[index]!, entities.rowCount);
      const oldest = version.ttlMs === undefined ? -Infinity : now - version.ttlMs * MICROS_PER_MS;
      return { version, rows, statuses: rows.map((row) => statusOf(row, oldest)) };
    });
  }
}

/** The columns of a view, or of features by name: one of the two is asked for. */
export async function columnsToRead(
  catalog: FeatureCatalog,
  namespace: string,
  view: string | undefined,
  features: readonly string[],
): Promise<readonly ResolvedColumn[]> {
  if ((view === undefined) === (features.length === 0)) {
    throw invalidArgument([{ field: "view", message: "name either a view or features, not both and not none" }]);
  }
  return view === undefined ? catalog.columns(namespace, features) : catalog.viewColumns(namespace, view);
}

function refuseOffline(versions: readonly ResolvedVersion[]): void {
  const offline = versions.find(({ online }) => !online);
  if (offline === undefined) return;
  throw new AppError(
    "FAILED_PRECONDITION",
    "NOT_ONLINE",
    `Feature group "${offline.group}" is not kept online in version ${offline.version}. Read its history, or make a version that is online.`,
  );
}

interface AskedEntities {
  readonly texts: readonly string[];
  /** The row of each text; undefined where every row has one. */
  readonly rows: readonly number[] | undefined;
}

function entityTexts({ rowCount, columns }: ReadEntities, keys: readonly { readonly name: string }[]): AskedEntities {
  const parts = keys.map(({ name }) => columns.get(name)!);
  const texts: string[] = [];
  const rows: number[] = [];
  for (let row = 0; row < rowCount; row++) {
    const values = parts.map((part) => part[row]!);
    if (values.includes(null as never)) continue;
    texts.push(entityText(values));
    rows.push(row);
  }
  return { texts, rows: texts.length === rowCount ? undefined : rows };
}

function placeRows({ rows }: AskedEntities, found: readonly (Buffer | undefined)[], rowCount: number) {
  if (rows === undefined) return found;
  const placed = new Array<Buffer | undefined>(rowCount).fill(undefined);
  for (const [index, row] of rows.entries()) placed[row] = found[index];
  return placed;
}

function statusOf(row: Buffer | undefined, oldest: Micros): FeatureStatus {
  if (row === undefined) return "NOT_FOUND";
  return readEventTime(row) < oldest ? "OUTSIDE_MAX_AGE" : "PRESENT";
}

function answerColumn(column: ResolvedColumn, source: number, sources: readonly SourceRows[]): FeatureColumn {
  const { rows, statuses: ofRows } = sources[source]!;
  const { type } = column.feature;
  const values = new Array<StoredValue | null>(rows.length);
  // Columns share their statuses until one has a value that is null.
  let statuses = ofRows;
  for (let index = 0; index < rows.length; index++) {
    const isPresent = ofRows[index] === "PRESENT";
    const value = isPresent ? readValue(rows[index]!, column.index, type) : null;
    values[index] = value;
    if (!isPresent || value !== null) continue;
    if (statuses === ofRows) statuses = [...ofRows];
    (statuses as FeatureStatus[])[index] = "NULL_VALUE";
  }
  return { name: column.name, source, values: answerValues(type, values), statuses: statuses as FeatureStatus[] };
}

function answerSource({ version, rows }: SourceRows): FeatureSource {
  const { namespace, group, version: number } = version;
  const eventTimes = rows.map((row) => (row === undefined ? null : microsToText(readEventTime(row))));
  return { namespace, group, version: number, eventTimes };
}
