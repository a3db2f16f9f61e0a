import { invalidArgument } from "../../../core/errors.ts";
import type { DuckdbSession, WireChunk } from "../../../platform/duckdb/session.ts";
import { quoteName } from "../../../platform/duckdb/sql-text.ts";
import type { Micros } from "../values/micros.ts";
import { columnType, featureIndexes, microsFromSql } from "./columns.ts";
import { csvText } from "./csv-text.ts";
import { ROW_NUMBER_COLUMN } from "./entity-input.ts";
import type { OfflineContext } from "./offline-context.ts";
import type {
  Exported,
  ExportTarget,
  FeatureColumn,
  PointInTimeChunk,
  PointInTimeRequest,
  RunOptions,
  ValueStatus,
} from "./offline-store.ts";
import { CSV_OPTIONS, copyToFile, PARQUET_OPTIONS } from "./parquet-file.ts";
import { type Joined, joinPointInTime, type Match } from "./point-in-time.ts";
import { featureColumn } from "./value-status.ts";

/** The answer in chunks of columns, in the order of the entity rows. */
export async function* readPointInTime(
  context: OfflineContext,
  session: DuckdbSession,
  request: PointInTimeRequest,
  options: RunOptions,
): AsyncGenerator<PointInTimeChunk> {
  const joined = await joinPointInTime(context, session, request, options);
  const columns = joined.matches.flatMap((match, index) => [
    microsFromSql(`m${index}.event_time`),
    isOutside(match, index),
    ...match.features.map((feature) =>
      columnType(match.source.dataset.features[feature]!.type).toWire(`m${index}.f${feature}`),
    ),
  ]);
  const sql = `SELECT ${columns.join(", ")} FROM input e ${joinMatches(joined, "e.n")} ORDER BY e.n`;
  let firstRow = 0;
  for await (const chunk of session.chunks(sql)) {
    yield { firstRow, rowCount: chunk.rowCount, sources: readSources(chunk, joined.matches) };
    firstRow += chunk.rowCount;
  }
}

/** The answer as a file, behind all columns of the entity rows. */
export async function exportPointInTime(
  context: OfflineContext,
  session: DuckdbSession,
  request: PointInTimeRequest,
  target: ExportTarget,
  options: RunOptions,
): Promise<Exported> {
  const joined = await joinPointInTime(context, session, request, options);
  const { input, matches } = joined;
  const columns = matches.flatMap((match, index) => exportColumns(match, index, target));
  refuseRepeatedNames([...input.columnNames, ...columns.map(({ name }) => name)]);
  const select = `
    SELECT raw.* EXCLUDE (${ROW_NUMBER_COLUMN})${columns.map(({ name, sql }) => `, ${sql} AS ${quoteName(name)}`).join("")}
    FROM (${input.allColumns}) raw ${joinMatches(joined, `raw.${ROW_NUMBER_COLUMN}`)}
    ORDER BY raw.${ROW_NUMBER_COLUMN}`;
  const copyOptions = target.format === "PARQUET" ? PARQUET_OPTIONS : CSV_OPTIONS;
  const exported = await copyToFile(session, context.dataDir, { select, path: target.path, options: copyOptions });
  options.onProgress?.(1);
  return exported;
}

function readSources(chunk: WireChunk, matches: readonly Match[]): PointInTimeChunk["sources"] {
  let next = 0;
  return matches.map(({ source, features }) => {
    const eventTimes = chunk.column(next++) as (Micros | null)[];
    const outside = chunk.column(next++) as boolean[];
    const first = next;
    next += features.length;
    const { dataset } = source;
    const asked = featureIndexes(
      dataset,
      source.features.map(({ name }) => name),
    );
    const columns = asked.map((feature): FeatureColumn => {
      const { type } = dataset.features[feature]!;
      const values = chunk.column(first + features.indexOf(feature));
      return featureColumn(values.map(columnType(type).decode), eventTimes, outside);
    });
    return { eventTimes, columns };
  });
}

function exportColumns({ source, features }: Match, index: number, { format, withStatus = false }: ExportTarget) {
  const { dataset } = source;
  const match: Match = { table: `match_${index}`, source, features };
  const outside = isOutside(match, index);
  const columns = source.features.map(({ name, as = name }) => ({ name: as, value: featureSql(match, index, name) }));
  const values = columns.map(({ name, value }, place) => {
    const { type } = dataset.features[featureIndexes(dataset, [source.features[place]!.name])[0]!]!;
    return { name, sql: `CASE WHEN NOT ${outside} THEN ${format === "CSV" ? csvText(type, value) : value} END` };
  });
  if (!withStatus) return values;
  const status = (name: ValueStatus) => `'${name}'`;
  return [
    ...values,
    ...columns.map(({ name, value }) => ({
      name: `${name}__status`,
      sql: `CASE WHEN m${index}.event_time IS NULL THEN ${status("NOT_FOUND")}
        WHEN ${outside} THEN ${status("OUTSIDE_MAX_AGE")}
        WHEN ${value} IS NULL THEN ${status("NULL_VALUE")} ELSE ${status("PRESENT")} END`,
    })),
    {
      name: `${dataset.group}__event_time`,
      sql: format === "CSV" ? csvText("TIMESTAMP", `m${index}.event_time`) : `m${index}.event_time`,
    },
  ];
}

function featureSql({ source }: Match, index: number, name: string): string {
  const [feature] = featureIndexes(source.dataset, [name]);
  return `m${index}.f${feature}`;
}

/** True or false, never null: whether the row that was found is too old at the entity row's time. */
function isOutside({ source: { ttlMicros } }: Match, index: number): string {
  if (ttlMicros === undefined) return "false";
  return `coalesce(epoch_us(m${index}.t) - epoch_us(m${index}.event_time) > ${ttlMicros}, false)`;
}

function joinMatches({ matches }: Joined, row: string): string {
  return matches.map(({ table }, index) => `LEFT JOIN ${table} m${index} ON m${index}.n = ${row}`).join(" ");
}

function refuseRepeatedNames(names: readonly string[]): void {
  const taken = new Set<string>();
  for (const name of names) {
    const folded = name.toLowerCase();
    if (taken.has(folded)) {
      throw invalidArgument([
        {
          field: "features",
          message: `"${name}" would be the name of two columns in the file; give one of them another name`,
        },
      ]);
    }
    taken.add(folded);
  }
}
