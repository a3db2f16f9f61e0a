import type { FieldViolation } from "../../../core/errors.ts";
import type { ResolvedVersion } from "../definitions/feature-catalog.ts";
import { checkValue } from "../values/check-value.ts";
import { checkEntityKey, type EntityKeyValue, entityText } from "../values/entity-key.ts";
import type { FeatureShape, StoredValue } from "../values/feature-type.ts";
import { MICROS_PER_MS, type Micros, microsFromText, microsToText } from "../values/micros.ts";
import { packRow } from "../values/packed-row.ts";
import type { EntityRow } from "../values/row-batch.ts";
import { compileRules, type RuleCheck } from "./rule-checks.ts";
import type { FeatureRow } from "./write-model.ts";

/** A row that may be written, or what is wrong with it: fields as within the row, e.g. `values.clicks`. */
export type CheckedRow = { readonly row: EntityRow } | { readonly problems: readonly FieldViolation[] };

/** Checks the rows of one write. It remembers what `unique` features have held, so each write needs a new one. */
export interface RowChecker {
  /** A row by names, as JSON has it. */
  named(row: FeatureRow): CheckedRow;
  /** A row by places: entity keys in the order of the dataset, values in the order of the version's features. */
  placed(entity: readonly unknown[], values: readonly unknown[], eventTime: Micros): CheckedRow;
}

interface FeatureCheck {
  readonly feature: FeatureShape;
  readonly place: number;
  readonly notNull: boolean;
  readonly isUnique: boolean;
  readonly rules: readonly RuleCheck[];
  /** A DOUBLE without rules: all there is to check is that it is finite. */
  readonly isPlainNumber: boolean;
}

type Seen = Map<string, Set<StoredValue>>;

/** Compiles the schema of a version once; answers what makes a checker for each write. */
export function compileRowChecker(version: ResolvedVersion): (now: Micros) => RowChecker {
  const { dataset, freshness } = version;
  const label = `${version.group}@v${version.version}`;
  const featureNames = version.features.map(({ name }) => name);
  const keyNames = dataset.entityKeys.map(({ name }) => name);
  const checks = version.features.map((feature, index): FeatureCheck => {
    const isUnique = feature.rules?.unique === true;
    const rules = compileRules(feature);
    return {
      feature,
      place: version.places[index]!,
      notNull: feature.rules?.notNull === true,
      isUnique,
      rules,
      isPlainNumber: feature.type === "DOUBLE" && !isUnique && rules.length === 0,
    };
  });

  return (now) => {
    const latest = now + freshness.maxAheadMs * MICROS_PER_MS;
    const earliest = freshness.maxAgeMs === undefined ? -Infinity : now - freshness.maxAgeMs * MICROS_PER_MS;
    const seen: Seen = new Map();

    const check = (
      entity: readonly unknown[],
      values: readonly unknown[],
      eventTime: Micros,
      problems: FieldViolation[],
    ): CheckedRow => {
      const keys = checkEntity(entity, problems);
      if (eventTime > latest || eventTime < earliest) problems.push(outsideTime(eventTime > latest));
      const stored = checkValues(values, seen, problems);
      if (problems.length > 0) return { problems };
      return { row: { entity: entityText(keys), row: packRow(eventTime, dataset.features, stored) } };
    };

    return {
      placed: (entity, values, eventTime) => check(entity, values, eventTime, []),
      named({ entity, values, eventTime }) {
        const problems: FieldViolation[] = [];
        const keys = pick(entity, keyNames, "entity", `is not an entity key of ${label}`, problems);
        const features = pick(values, featureNames, "values", `is not a feature of ${label}`, problems);
        return check(keys, features, microsFromText(eventTime)!, problems);
      },
    };

    function outsideTime(isAhead: boolean): FieldViolation {
      const message = isAhead
        ? `lies too far in the future: ${label} takes rows up to ${microsToText(latest)}`
        : `is too old: ${label} takes rows from ${microsToText(earliest)} on`;
      return { field: "eventTime", message };
    }
  };

  function checkEntity(entity: readonly unknown[], problems: FieldViolation[]): EntityKeyValue[] {
    const values: EntityKeyValue[] = [];
    for (let index = 0; index < dataset.entityKeys.length; index++) {
      const key = dataset.entityKeys[index]!;
      const checked = checkEntityKey(entity[index], key);
      if ("problem" in checked) problems.push({ field: `entity.${key.name}`, message: checked.problem });
      else values.push(checked.value);
    }
    return values;
  }

  function checkValues(
    values: readonly unknown[],
    seen: Seen,
    problems: FieldViolation[],
  ): (StoredValue | undefined)[] {
    const stored = new Array<StoredValue | undefined>(dataset.features.length).fill(undefined);
    for (let index = 0; index < checks.length; index++) {
      const check = checks[index]!;
      const value = values[index];
      if (value === undefined || value === null) {
        if (check.notNull) problems.push({ field: `values.${check.feature.name}`, message: "must have a value" });
        continue;
      }
      if (check.isPlainNumber && Number.isFinite(value)) {
        stored[check.place] = value as number;
        continue;
      }
      const checked = checkValue(value, check.feature);
      const problem = "problem" in checked ? checked.problem : ruleProblem(check, checked.value, seen);
      if (problem !== undefined) problems.push({ field: `values.${check.feature.name}`, message: problem });
      else if ("value" in checked) stored[check.place] = checked.value;
    }
    return stored;
  }
}

/** The members of `object` by place; a name that is none of `names` is a problem. */
function pick(
  object: Readonly<Record<string, unknown>>,
  names: readonly string[],
  field: string,
  unknown: string,
  problems: FieldViolation[],
): unknown[] {
  let found = 0;
  const picked = names.map((name) => {
    // Only what the client sent, never what every object has.
    if (!Object.hasOwn(object, name)) return undefined;
    found += 1;
    return object[name];
  });
  const sent = Object.keys(object);
  if (sent.length > found) {
    const stray = sent.filter((name) => !names.includes(name));
    problems.push(...stray.map((name) => ({ field: `${field}.${name}`, message: unknown })));
  }
  return picked;
}

function ruleProblem(check: FeatureCheck, value: StoredValue, seen: Seen): string | undefined {
  for (const rule of check.rules) {
    const problem = rule(value);
    if (problem !== undefined) return problem;
  }
  if (!check.isUnique) return undefined;
  const { name } = check.feature;
  const values = seen.get(name) ?? new Set();
  seen.set(name, values);
  if (values.has(value)) return "must be unique: another row of this write has the same value";
  values.add(value);
  return undefined;
}
