import { type FieldViolation, invalidArgument } from "../../../core/errors.ts";
import type { ResolvedVersion } from "../definitions/feature-catalog.ts";
import type { IngestColumn, IngestColumns } from "./ingest-model.ts";
import type { CheckedRow, RowChecker } from "./row-checker.ts";

const MAX_VIOLATIONS = 50;

/** Checks rows that came as columns, one after the other; throws where the columns themselves are wrong. */
export function* checkColumns(
  version: ResolvedVersion,
  checker: RowChecker,
  { entities, features, eventTimesMicros }: IngestColumns,
): Generator<CheckedRow> {
  const rowCount = eventTimesMicros.length;
  const keys = placeColumns("columns.entities", entities, version.dataset.entityKeys, rowCount);
  const values = placeColumns("columns.features", features, version.features, rowCount);
  const entity = new Array<unknown>(keys.length);
  const row = new Array<unknown>(values.length);
  for (let index = 0; index < rowCount; index++) {
    for (let key = 0; key < keys.length; key++) entity[key] = keys[key]?.[index];
    for (let value = 0; value < values.length; value++) row[value] = values[value]?.[index];
    yield checker.placed(entity, row, eventTimesMicros[index]!);
  }
}

interface Shape {
  readonly name: string;
  readonly type: string;
}

/** The values of each column in the order of `shapes`; undefined for a column that was not sent. */
function placeColumns(
  field: string,
  columns: readonly IngestColumn[],
  shapes: readonly Shape[],
  rowCount: number,
): (readonly unknown[] | undefined)[] {
  const problems: FieldViolation[] = [];
  const placed = new Array<readonly unknown[] | undefined>(shapes.length).fill(undefined);
  for (const [index, { name, values, nullRows }] of columns.entries()) {
    const at = `${field}[${index}]`;
    const place = shapes.findIndex((shape) => shape.name === name);
    if (place < 0) problems.push({ field: `${at}.name`, message: "is not in the schema of the version" });
    else if (placed[place] !== undefined) problems.push({ field: `${at}.name`, message: "is named twice" });
    else if (values.type !== shapes[place]!.type) {
      problems.push({ field: `${at}.values`, message: `must be of type ${shapes[place]!.type}, not ${values.type}` });
    } else if (values.values.length !== rowCount) {
      problems.push({ field: `${at}.values`, message: `must have ${rowCount} values, one for each event time` });
    } else {
      placed[place] = withNulls(plainItems(values), nullRows);
    }
  }
  if (problems.length > 0) throw invalidArgument(problems.slice(0, MAX_VIOLATIONS));
  return placed;
}

/** List values come wrapped, as protobuf cannot have lists of lists. */
function plainItems({ type, values }: IngestColumn["values"]): readonly unknown[] {
  if (!type.endsWith("_LIST") && type !== "VECTOR") return values;
  return values.map((value) => (value as { readonly items: unknown } | null)?.items ?? null);
}

function withNulls(values: readonly unknown[], nullRows: readonly number[]): readonly unknown[] {
  if (nullRows.length === 0) return values;
  const copy = [...values];
  for (const row of nullRows) if (row < copy.length) copy[row] = null;
  return copy;
}
