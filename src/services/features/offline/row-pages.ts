import type { DuckdbSession, WireChunk, WireOutput } from "../../../platform/duckdb/session.ts";
import type { Dataset } from "../values/dataset.ts";
import type { EntityKeyValue } from "../values/entity-key.ts";
import { MICROS_PER_MS, type Micros } from "../values/micros.ts";
import { columnType, featureIndexes, microsFromSql } from "./columns.ts";
import type { OfflineContext } from "./offline-context.ts";
import type { LatestRequest, RangePlace, RangeRequest, RowPage, ScanLatestRequest } from "./offline-store.ts";
import { keyList } from "./row-table.ts";
import { openSnapshot } from "./snapshot.ts";
import { featureColumn } from "./value-status.ts";

const NEWEST_FIRST = "event_time DESC, created_at DESC, write_sequence DESC";

/** A page of the newest row of each entity. */
export async function readLatest(
  context: OfflineContext,
  session: DuckdbSession,
  dataset: Dataset,
  request: LatestRequest,
): Promise<RowPage<readonly EntityKeyValue[]>> {
  const { asOf, knownAt = "LATEST", after, limit } = request;
  const features = featureIndexes(dataset, request.features);
  const part = { dataset, features: [...new Set(features)], toEventTime: asOf };
  const { relations, release } = await openSnapshot(context, session, [part]);
  try {
    const known = asOf !== undefined && knownAt === "ENTITY_TIME" ? ` WHERE created_at <= make_timestamp(${asOf})` : "";
    const rows = `(SELECT * FROM ${relations[0]!.sql}${known})`;
    const keys = keyList(dataset);
    const sql = `
      WITH wanted AS (SELECT DISTINCT ${keys} FROM ${rows} ${after ? `WHERE ${isAfter(dataset)}` : ""}
        ORDER BY ${keys} LIMIT ${limit + 1})
      SELECT ${wireColumns(dataset, features)} FROM (
        SELECT * FROM ${rows} f SEMI JOIN wanted USING (${keys})
        QUALIFY row_number() OVER (PARTITION BY ${keys} ORDER BY ${NEWEST_FIRST}) = 1)
      ORDER BY ${keys}`;
    const columns = await collect(session.chunks(sql, after));
    const nowMicros = asOf ?? context.clock.now() * MICROS_PER_MS;
    const oldest = request.ttlMicros === undefined ? undefined : nowMicros - request.ttlMicros;
    const page = toPage(dataset, features, columns, limit, oldest);
    return page.hasMore ? { ...page.page, next: page.page.entities.at(-1) } : page.page;
  } finally {
    release();
  }
}

/** A page of all rows of a time range. */
export async function readRange(
  context: OfflineContext,
  session: DuckdbSession,
  dataset: Dataset,
  request: RangeRequest,
): Promise<RowPage<RangePlace>> {
  const { from, to, entity, after, limit } = request;
  const features = featureIndexes(dataset, request.features);
  const fromEventTime = Math.max(from ?? 0, after?.eventTime ?? 0);
  const toEventTime = to === undefined ? undefined : to - 1;
  const part = { dataset, features: [...new Set(features)], fromEventTime, toEventTime };
  const { relations, release } = await openSnapshot(context, session, [part]);
  try {
    const conditions = ["true"];
    const values: EntityKeyValue[] = [];
    for (const [index, value] of (entity ?? []).entries()) {
      values.push(value);
      conditions.push(`k${index} = ${parameter(dataset, index)}`);
    }
    if (after) {
      conditions.push(
        `(event_time > make_timestamp(${after.eventTime}) OR write_sequence > CAST(${after.sequence} AS BIGINT))`,
      );
    }
    const sql = `SELECT ${wireColumns(dataset, features)} FROM ${relations[0]!.sql}
      WHERE ${conditions.join(" AND ")} ORDER BY event_time, write_sequence LIMIT ${limit + 1}`;
    const columns = await collect(session.chunks(sql, entity && values));
    const { page, hasMore } = toPage(dataset, features, columns, limit);
    const last = page.rowCount - 1;
    return hasMore ? { ...page, next: { eventTime: page.eventTimes[last]!, sequence: page.sequences[last]! } } : page;
  } finally {
    release();
  }
}

/** The newest row of each entity in one pass, in no order. */
export async function* scanLatest(
  context: OfflineContext,
  session: DuckdbSession,
  dataset: Dataset,
  request: ScanLatestRequest,
): AsyncGenerator<RowPage<never>> {
  const features = featureIndexes(dataset, request.features);
  const { from, to } = request;
  const part = {
    dataset,
    features: [...new Set(features)],
    fromEventTime: from,
    toEventTime: to === undefined ? undefined : to - 1,
  };
  const { relations, release } = await openSnapshot(context, session, [part]);
  try {
    const rows = relations[0]!.sql;
    const keys = keyList(dataset);
    // Which row it is first, and then its values: so only keys and order are held for all entities at once.
    const sql = `SELECT ${wireColumns(dataset, features)} FROM ${rows} f
      SEMI JOIN (
        SELECT ${keys}, max((event_time, created_at, write_sequence))[3] AS write_sequence FROM ${rows} GROUP BY ${keys}
      ) w ON w.write_sequence = f.write_sequence`;
    for await (const chunk of session.chunks(sql)) {
      yield toPage(dataset, features, columnsOf(chunk), chunk.rowCount).page;
    }
  } finally {
    release();
  }
}

/** Keys, event time, created time, write sequence, features. */
function wireColumns(dataset: Dataset, features: readonly number[]): string {
  return [
    ...dataset.entityKeys.map(({ type }, index) => columnType(type).toWire(`k${index}`)),
    microsFromSql("event_time"),
    microsFromSql("created_at"),
    "CAST(write_sequence AS DOUBLE)",
    ...features.map((index) => columnType(dataset.features[index]!.type).toWire(`f${index}`)),
  ].join(", ");
}

/** The key of a row comes after the one in `$1`, `$2`, …; the first part lets files be skipped. */
function isAfter(dataset: Dataset): string {
  const given = dataset.entityKeys.map((_, index) => parameter(dataset, index));
  return `k0 >= ${given[0]} AND (${keyList(dataset)}) > (${given.join(", ")})`;
}

function parameter(dataset: Dataset, index: number): string {
  return `CAST($${index + 1} AS ${columnType(dataset.entityKeys[index]!.type).sqlType})`;
}

async function collect(chunks: AsyncIterable<WireChunk>): Promise<WireOutput[][]> {
  const columns: WireOutput[][] = [];
  for await (const chunk of chunks) {
    for (const [index, values] of columnsOf(chunk).entries()) {
      columns[index] ??= [];
      for (const value of values) columns[index].push(value);
    }
  }
  return columns;
}

function columnsOf(chunk: WireChunk): WireOutput[][] {
  return Array.from({ length: chunk.columnCount }, (_, index) => chunk.column(index));
}

function toPage(
  dataset: Dataset,
  features: readonly number[],
  columns: readonly WireOutput[][],
  limit: number,
  oldest?: Micros,
): { page: RowPage<never>; hasMore: boolean } {
  const keyCount = dataset.entityKeys.length;
  const hasMore = (columns[0]?.length ?? 0) > limit;
  const kept = (index: number) => columns[index]?.slice(0, limit) ?? [];
  const keys = dataset.entityKeys.map((_, index) => kept(index) as EntityKeyValue[]);
  const eventTimes = kept(keyCount) as Micros[];
  const outside = eventTimes.map((eventTime) => oldest !== undefined && eventTime < oldest);
  const page: RowPage<never> = {
    rowCount: eventTimes.length,
    entities: eventTimes.map((_, row) => keys.map((column) => column[row]!)),
    eventTimes,
    createdAt: kept(keyCount + 1) as Micros[],
    sequences: kept(keyCount + 2) as number[],
    columns: features.map((feature, index) => {
      const values = kept(keyCount + 3 + index).map(columnType(dataset.features[feature]!.type).decode);
      return featureColumn(values, eventTimes, outside);
    }),
  };
  return { page, hasMore };
}
