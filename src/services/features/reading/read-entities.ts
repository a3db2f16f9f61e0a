import { type FieldViolation, invalidArgument } from "../../../core/errors.ts";
import type { ResolvedVersion } from "../definitions/feature-catalog.ts";
import { checkEntityKey, type EntityKeyShape, type EntityKeyValue } from "../values/entity-key.ts";
import { type EntityColumn, MAX_READ_ENTITIES } from "./online-model.ts";

const MAX_VIOLATIONS = 50;

/** Checked columns of entity keys by name: a null row has no entity. */
export interface ReadEntities {
  readonly rowCount: number;
  readonly columns: ReadonlyMap<string, readonly (EntityKeyValue | null)[]>;
}

/** Checks that the columns are what the versions' entity keys need: each named once, of the right type, equally long. */
export function readEntities(entities: readonly EntityColumn[], versions: readonly ResolvedVersion[]): ReadEntities {
  const problems: FieldViolation[] = [];
  const shapes = neededKeys(versions, problems);
  const rowCount = entities[0]?.values.length ?? 0;
  const columns = new Map<string, (EntityKeyValue | null)[]>();
  for (const [index, { key, values }] of entities.entries()) {
    const field = `entities[${index}]`;
    const shape = shapes.get(key);
    if (shape === undefined) {
      problems.push({
        field: `${field}.key`,
        message: `is not an entity key of what is read: ${[...shapes.keys()].join(", ")}`,
      });
    } else if (columns.has(key)) {
      problems.push({ field: `${field}.key`, message: "is named twice" });
    } else if (values.length !== rowCount) {
      problems.push({ field: `${field}.values`, message: `must have ${rowCount} values, as the first column has` });
    } else {
      columns.set(key, checkColumn(values, shape, field, problems));
    }
  }
  if (rowCount === 0)
    problems.push({ field: "entities[0].values", message: `must have 1 to ${MAX_READ_ENTITIES} values` });
  for (const name of shapes.keys()) {
    if (!columns.has(name) && !entities.some(({ key }) => key === name)) {
      problems.push({ field: "entities", message: `must have a column for the entity key ${name}` });
    }
  }
  if (problems.length > 0) throw invalidArgument(problems.slice(0, MAX_VIOLATIONS));
  return { rowCount, columns };
}

/** The keys of all versions. Two of one name must be of one type to be read from one column. */
function neededKeys(versions: readonly ResolvedVersion[], problems: FieldViolation[]): Map<string, EntityKeyShape> {
  const shapes = new Map<string, EntityKeyShape>();
  for (const { group, dataset } of versions) {
    for (const key of dataset.entityKeys) {
      const known = shapes.get(key.name);
      if (known !== undefined && known.type !== key.type) {
        const message = `${key.name} is ${key.type} in ${group} and ${known.type} in another group: read them in two calls`;
        problems.push({ field: "entities", message });
      }
      shapes.set(key.name, key);
    }
  }
  return shapes;
}

function checkColumn(
  values: readonly unknown[],
  shape: EntityKeyShape,
  field: string,
  problems: FieldViolation[],
): (EntityKeyValue | null)[] {
  return values.map((value, row) => {
    if (value === null) return null;
    const checked = checkEntityKey(value, shape);
    if ("value" in checked) return checked.value;
    if (problems.length < MAX_VIOLATIONS) problems.push({ field: `${field}.values[${row}]`, message: checked.problem });
    return null;
  });
}
