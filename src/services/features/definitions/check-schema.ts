import { RE2JS } from "re2js";
import type { FieldViolation } from "../../../core/errors.ts";
import { checkValue } from "../values/check-value.ts";
import type { FeatureType } from "../values/feature-type.ts";
import type { FeatureDefinition, FeatureRules, GroupSchema } from "./group-model.ts";

/** Patterns are compiled when rows are checked, and each costs time and memory. */
const MAX_PATTERNS = 100;
/** What a version may say of itself, so that lists of them stay of a size that can be sent. */
const MAX_SCHEMA_BYTES = 512 * 1024;

const NUMBERS: ReadonlySet<FeatureType> = new Set(["INT64", "DOUBLE", "INT64_LIST", "DOUBLE_LIST"]);
const SIZED: ReadonlySet<FeatureType> = new Set([
  "STRING",
  "BYTES",
  "BOOL_LIST",
  "INT64_LIST",
  "DOUBLE_LIST",
  "STRING_LIST",
  "TIMESTAMP_LIST",
]);

/** Which types a rule can hold for. */
const RULE_TYPES: Record<Exclude<keyof FeatureRules, "notNull">, ReadonlySet<FeatureType>> = {
  min: NUMBERS,
  max: NUMBERS,
  allowedValues: new Set(["BOOL", "INT64", "DOUBLE", "STRING"]),
  pattern: new Set(["STRING"]),
  minLength: SIZED,
  maxLength: SIZED,
  unique: new Set(["BOOL", "INT64", "DOUBLE", "STRING", "TIMESTAMP"]),
};

/** Everything that is wrong with a schema, beyond what the contract's own bounds say, by field. */
export function schemaProblems(schema: GroupSchema): FieldViolation[] {
  const problems = [...nameProblems(schema), ...schema.features.flatMap(featureProblems), ...patternCount(schema)];
  if (!schema.online && !schema.offline) {
    problems.push({ field: "offline", message: "must be true where online is false: rows would be kept nowhere" });
  }
  if (Buffer.byteLength(JSON.stringify(schema)) > MAX_SCHEMA_BYTES) {
    problems.push({
      field: "features",
      message: `must not be longer than ${MAX_SCHEMA_BYTES} bytes with descriptions and rules; divide the group`,
    });
  }
  return problems;
}

function nameProblems({ entityKeys, features }: GroupSchema): FieldViolation[] {
  const problems: FieldViolation[] = [];
  const takenBy = new Map<string, string>();
  const take = (name: string, place: string) => {
    const first = takenBy.get(name);
    if (first === undefined) takenBy.set(name, place);
    else problems.push({ field: `${place}.name`, message: `is the name of ${first} too` });
  };
  for (const [index, { name }] of entityKeys.entries()) take(name, `entityKeys[${index}]`);
  for (const [index, { name }] of features.entries()) take(name, `features[${index}]`);
  return problems;
}

function featureProblems(feature: FeatureDefinition, index: number): FieldViolation[] {
  const { type, dimension, rules = {} } = feature;
  const field = `features[${index}]`;
  const problems: FieldViolation[] = [];
  if (type === "VECTOR" && dimension === undefined) {
    problems.push({ field: `${field}.dimension`, message: "is required for VECTOR" });
  } else if (type !== "VECTOR" && dimension !== undefined) {
    problems.push({ field: `${field}.dimension`, message: `is for VECTOR alone, and this is ${type}` });
  }
  const say = (rule: string, message: string) => problems.push({ field: `${field}.rules.${rule}`, message });
  for (const [rule, types] of Object.entries(RULE_TYPES)) {
    const given = rules[rule as keyof FeatureRules];
    if (given !== undefined && given !== false && !types.has(type)) say(rule, `cannot hold for values of type ${type}`);
  }
  if (problems.length === 0) ruleProblems(feature, rules, say);
  return problems;
}

function ruleProblems(
  feature: FeatureDefinition,
  { min, max, minLength, maxLength, allowedValues, pattern }: FeatureRules,
  say: (rule: string, message: string) => void,
): void {
  if (min !== undefined && max !== undefined && min > max) say("max", `must not be less than min, which is ${min}`);
  if (minLength !== undefined && maxLength !== undefined && minLength > maxLength) {
    say("maxLength", `must not be less than minLength, which is ${minLength}`);
  }
  for (const [index, value] of allowedValues?.entries() ?? []) {
    const checked = checkValue(value, feature);
    if ("problem" in checked) say(`allowedValues[${index}]`, checked.problem);
  }
  const problem = pattern === undefined ? undefined : patternProblem(pattern);
  if (problem !== undefined) say("pattern", problem);
}

function patternProblem(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return `is no regular expression in RE2 syntax: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function patternCount({ features }: GroupSchema): FieldViolation[] {
  const withPattern = features.flatMap(({ rules }, index) => (rules?.pattern === undefined ? [] : index));
  const first = withPattern[MAX_PATTERNS];
  if (first === undefined) return [];
  return [
    { field: `features[${first}].rules.pattern`, message: `is one more than the ${MAX_PATTERNS} a group may have` },
  ];
}
