import type { DuckdbSession } from "../../../platform/duckdb/session.ts";
import type { Dataset } from "../values/dataset.ts";
import { featureIndexes } from "./columns.ts";
import { type EntityInput, loadEntities } from "./entity-input.ts";
import type { OfflineContext } from "./offline-context.ts";
import type { KnownAt, PointInTimeRequest, PointInTimeSource, RunOptions } from "./offline-store.ts";
import { keyList } from "./row-table.ts";
import { openSnapshot, type Relation } from "./snapshot.ts";

/** What one source found: a temporary table with n (the entity row), t (its time), event_time, and its features as f0, f1, …. */
export interface Match {
  readonly table: string;
  readonly source: PointInTimeSource;
  /** The source's features by their place in the dataset, without repeats. */
  readonly features: readonly number[];
}

export interface Joined {
  readonly input: EntityInput;
  readonly matches: readonly Match[];
}

/** With so many more rows than entity rows, looking only at the entities asked for is worth a pass of its own. */
const SELECTIVE_FROM = 20;

/** Finds the winning row of every source for every entity row. The tables live as long as the session. */
export async function joinPointInTime(
  context: OfflineContext,
  session: DuckdbSession,
  request: PointInTimeRequest,
  { onProgress }: RunOptions,
): Promise<Joined> {
  const input = await loadEntities(session, context.dataDir, request, context.limits.entityRows);
  const { sources, knownAt } = request;
  const features = sources.map(({ dataset, features }) => [
    ...new Set(
      featureIndexes(
        dataset,
        features.map(({ name }) => name),
      ),
    ),
  ]);
  const steps = sources.length + 2;
  onProgress?.(1 / steps);
  const snapshot = await openSnapshot(
    context,
    session,
    sources.map(({ dataset }, index) => ({
      dataset,
      features: features[index]!,
      toEventTime: Math.min(input.maxTime ?? 0, Number.MAX_SAFE_INTEGER),
    })),
  );
  const matches: Match[] = [];
  try {
    for (const [index, source] of sources.entries()) {
      const match: Match = { table: `match_${index}`, source, features: features[index]! };
      await matchSource(session, input, snapshot.relations[index]!, match, knownAt);
      matches.push(match);
      onProgress?.((index + 2) / steps);
    }
  } finally {
    snapshot.release();
  }
  return { input, matches };
}

/**
 * The winner among the rows of an entity that are not after T (and, under ENTITY_TIME, were known at
 * T) has the latest event time, then created time, then write sequence.
 *
 * 1. An ASOF join over keys and times alone finds the latest event time. It sorts its whole right
 *    side, so it is kept narrow.
 * 2. Under ENTITY_TIME, where the row that was found was written after T, the event time is looked
 *    up again in the order in which rows became visible (see visibleOrder).
 * 3. A hash join fetches the rows with that event time that count, and where an entity has several
 *    of them, the latest written one is kept.
 */
async function matchSource(
  session: DuckdbSession,
  input: EntityInput,
  relation: Relation,
  { table, source, features }: Match,
  knownAt: KnownAt,
): Promise<void> {
  const keys = inputKeys(input, source);
  const found = `found_${table}`;
  await findEventTimes(session, { input, relation, keys, found, knownAt, source });
  const columns = ["e.n", "e.t", "f.event_time", ...features.map((index) => `f.f${index}`)].join(", ");
  const rows = `FROM ${found} e JOIN ${relation.sql} f ON ${onKeys(keys)} AND f.event_time = e.event_time`;
  await session.run(`CREATE TEMP TABLE ${table} AS SELECT ${columns} ${rows}`);
  const [counted] = await session.rows(
    `SELECT (SELECT CAST(count(*) AS DOUBLE) FROM ${table}), (SELECT CAST(count(*) AS DOUBLE) FROM ${found})`,
  );
  if (counted![0] !== counted![1]) {
    // Somewhere two rows of an entity have one event time: of these, the order of writing is read as well.
    await session.run(`CREATE TEMP TABLE several AS SELECT n FROM ${table} GROUP BY n HAVING count(*) > 1`);
    await session.run(`DELETE FROM ${table} WHERE n IN (SELECT n FROM several)`);
    await session.run(
      `INSERT INTO ${table} SELECT ${columns} ${rows}
       WHERE e.n IN (SELECT n FROM several)${knownAt === "ENTITY_TIME" ? " AND f.created_at <= e.t" : ""}
       QUALIFY row_number() OVER (PARTITION BY e.n ORDER BY f.created_at DESC, f.write_sequence DESC) = 1`,
    );
    await session.run("DROP TABLE several");
  }
  await session.run(`DROP TABLE ${found}`);
}

interface Search {
  readonly input: EntityInput;
  readonly relation: Relation;
  readonly keys: readonly string[];
  readonly found: string;
  readonly knownAt: KnownAt;
  readonly source: PointInTimeSource;
}

/** The winners' event times, in a table of n, t, keys and event_time; entity rows without a winner are not in it. */
async function findEventTimes(
  session: DuckdbSession,
  { input, relation, keys, found, knownAt, source: { dataset } }: Search,
): Promise<void> {
  const columns = ["e.n", "e.t", ...keys.map((key) => `e.${key}`), "f.event_time"].join(", ");
  const keysOf = (rows: string) => `(SELECT DISTINCT ${keys.join(", ")} FROM ${rows})`;
  const isSelective = relation.rowCount > SELECTIVE_FROM * input.rowCount;
  const filter = isSelective ? ` SEMI JOIN ${keysOf("input")} e ON ${onKeys(keys)}` : "";
  const byEntityTime = knownAt === "ENTITY_TIME";
  await session.run(
    `CREATE TEMP TABLE ${found} AS SELECT ${columns}${byEntityTime ? ", f.created_at > e.t AS is_late" : ""}
     FROM input e ASOF JOIN (
       SELECT ${keyList(dataset)}, event_time${byEntityTime ? ", created_at" : ""} FROM ${relation.sql} f${filter}
     ) f ON ${onKeys(keys)} AND e.t >= f.event_time`,
  );
  if (!byEntityTime) return;
  const [late] = await session.rows(`SELECT CAST(count(*) AS DOUBLE) FROM ${found} WHERE is_late`);
  if (late![0] === 0) return;
  await session.run(`CREATE TEMP TABLE late AS SELECT * EXCLUDE (event_time) FROM ${found} WHERE is_late`);
  await session.run(`DELETE FROM ${found} WHERE is_late`);
  const candidates = `SELECT f.* FROM ${relation.sql} f SEMI JOIN ${keysOf("late")} e ON ${onKeys(keys)}`;
  await session.run(
    `INSERT INTO ${found} SELECT ${columns}, false
     FROM late e ASOF JOIN (${visibleOrder(dataset, candidates)}) f ON ${onKeys(keys)} AND e.t >= f.visible_at`,
  );
  await session.run("DROP TABLE late");
}

/** Entity rows `e` and feature rows `f` are of one entity. A key that is null is like no other. */
function onKeys(keys: readonly string[]): string {
  return keys.map((key, index) => `e.${key} = f.k${index}`).join(" AND ");
}

/**
 * A row becomes visible when it has both happened and been written. Of an entity's rows in that
 * order, those are left out that are no news when they become visible, because a later event is
 * visible already; what is left is in the order of event times as well. So the last one that is
 * visible at T is the winner at T, which is what an ASOF join finds.
 */
function visibleOrder(dataset: Dataset, candidates: string): string {
  const order = `PARTITION BY ${keyList(dataset)} ORDER BY visible_at, event_time, created_at, write_sequence`;
  return `
    SELECT ${keyList(dataset)}, visible_at, event_time FROM (
      SELECT *,
        max(event_time) OVER (${order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest_before,
        lead(visible_at) OVER (${order}) AS next_visible_at
      FROM (
        SELECT ${keyList(dataset)}, greatest(event_time, created_at) AS visible_at, event_time, created_at, write_sequence
        FROM (${candidates})))
    WHERE (newest_before IS NULL OR newest_before <= event_time) AND next_visible_at IS DISTINCT FROM visible_at`;
}

/** The columns of `input` that hold the keys of a source, in the dataset's order. */
function inputKeys({ keys }: EntityInput, { dataset, keyColumns }: PointInTimeSource): string[] {
  return dataset.entityKeys.map(({ name, type }, index) => {
    const column = keyColumns?.[index] ?? name;
    return `i${keys.findIndex((key) => key.column === column && key.type === type)}`;
  });
}
