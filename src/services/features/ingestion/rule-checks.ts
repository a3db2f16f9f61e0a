import { RE2JS } from "re2js";
import { canonicalJson } from "../../../core/json.ts";
import type { FeatureDefinition, FeatureRules } from "../definitions/group-model.ts";
import type { StoredValue } from "../values/feature-type.ts";

/** Answers what is wrong with a value that is there, to follow the feature's name; undefined where nothing is. */
export type RuleCheck = (value: StoredValue) => string | undefined;

/** Compiles a feature's rules once. `notNull` and `unique` are about more than one value and are not among them. */
export function compileRules({ type, rules = {} }: FeatureDefinition): readonly RuleCheck[] {
  const checks: RuleCheck[] = [];
  const { min, max, allowedValues, pattern, minLength, maxLength } = rules;
  if (min !== undefined || max !== undefined) checks.push(rangeCheck(min, max));
  if (allowedValues !== undefined) checks.push(setCheck(allowedValues));
  if (pattern !== undefined) checks.push(patternCheck(pattern));
  if (minLength !== undefined || maxLength !== undefined) {
    checks.push(lengthCheck(minLength ?? 0, maxLength ?? Infinity, unitOf(type)));
  }
  return checks;
}

function rangeCheck(min = -Infinity, max = Infinity): RuleCheck {
  const isOutside = (item: unknown) => (item as number) < min || (item as number) > max;
  const problem = `must be ${boundsText(min, max)}`;
  return (value) => {
    if (typeof value === "number") return isOutside(value) ? problem : undefined;
    return (value as readonly unknown[]).some(isOutside) ? `${problem}, every item of it` : undefined;
  };
}

function boundsText(min: number, max: number): string {
  if (max === Infinity) return `at least ${min}`;
  return min === -Infinity ? `at most ${max}` : `between ${min} and ${max}`;
}

function setCheck(allowed: NonNullable<FeatureRules["allowedValues"]>): RuleCheck {
  const known = new Set<unknown>(allowed);
  const shown = canonicalJson(allowed.slice(0, 10)).slice(1, -1);
  const more = allowed.length > 10 ? " and others" : "";
  return (value) => (known.has(value) ? undefined : `must be one of ${shown}${more}`);
}

/** RE2's time grows with the text alone, so that no pattern can hold up the gateway. */
function patternCheck(pattern: string): RuleCheck {
  const compiled = RE2JS.compile(pattern);
  return (value) => (compiled.matches(value as string) ? undefined : `must match ${pattern}`);
}

function lengthCheck(min: number, max: number, unit: string): RuleCheck {
  const bound = max === Infinity ? `at least ${min}` : `${min} to ${max}`;
  return (value) => {
    const { length } = value as { length: number };
    return length < min || length > max ? `must have ${bound} ${unit}` : undefined;
  };
}

function unitOf(type: FeatureDefinition["type"]): string {
  if (type === "STRING") return "characters";
  return type === "BYTES" ? "bytes" : "items";
}
