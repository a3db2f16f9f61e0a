import type { FeatureType } from "../values/feature-type.ts";

const timeText = (expression: string) => `strftime(${expression}, '%Y-%m-%dT%H:%M:%S.%fZ')`;

/** SQL that makes of a stored value the text that stands for it in a CSV file, so that it can be imported again. */
export function csvText(type: FeatureType, expression: string): string {
  if (type === "BYTES") return `base64(${expression})`;
  if (type === "TIMESTAMP") return timeText(expression);
  if (type === "TIMESTAMP_LIST") {
    return `CAST(to_json(list_transform(${expression}, lambda x: ${timeText("x")})) AS VARCHAR)`;
  }
  if (type === "VECTOR" || type.endsWith("_LIST")) return `CAST(to_json(${expression}) AS VARCHAR)`;
  return expression;
}
