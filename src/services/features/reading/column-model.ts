import { z } from "zod";
import { enumeration, message, namespaceField } from "../../../core/schema.ts";
import { groupField, versionField } from "../definitions/group-model.ts";
import { microInstant } from "../values/micro-instant.ts";
import { FeatureValues } from "../values/value-columns.ts";

export const FeatureStatus = enumeration(
  "FeatureStatus",
  "What became of a value. PRESENT: there it is. NULL_VALUE: the newest row has none. NOT_FOUND: there is no row of the entity. OUTSIDE_MAX_AGE: the newest row is older than the group's ttl allows.",
  ["PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"],
);
export type FeatureStatus = z.output<typeof FeatureStatus>;

export const FeatureColumn = message("FeatureColumn", "One feature of all rows.", {
  name: z.string().describe("As it was asked for, or as the view calls it."),
  source: z.int32().describe("Which of the answer's sources it comes from, counted from 0: its event times are there."),
  values: FeatureValues,
  statuses: z.array(FeatureStatus).describe("One for each row."),
});
export type FeatureColumn = z.output<typeof FeatureColumn>;

export const FeatureSource = message("FeatureSource", "A group version that columns come from.", {
  namespace: namespaceField,
  group: groupField,
  version: versionField,
  eventTimes: z
    .array(microInstant("A time.").nullable())
    .describe("When what each row answers with was true; null where the entity was not found (gRPC: zero)."),
});
export type FeatureSource = z.output<typeof FeatureSource>;
