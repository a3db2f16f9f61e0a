import { z } from "zod";
import { json } from "../../../core/json.ts";
import { nextPageTokenField, pageSizeField, pageTokenField } from "../../../core/page.ts";
import { instant, message, namespaceField, uuidField } from "../../../core/schema.ts";
import { groupField, MAX_ENTITY_KEYS, MAX_FEATURES, versionField } from "../definitions/group-model.ts";
import { microInstant } from "../values/micro-instant.ts";

export const MAX_WRITE_ROWS = 5000;
const MAX_NAME_CHARACTERS = 63;

const columnName = z.string().max(MAX_NAME_CHARACTERS);
/** Bounded here, and checked against the schema of the group where that is known. */
function valuesByName(max: number, description: string) {
  return z
    .record(columnName, json("A value."))
    .refine((values) => Object.keys(values).length <= max, { error: `must not have more than ${max} entries` })
    .describe(description);
}

export const FeatureRow = message("FeatureRow", "What was true of an entity at one time.", {
  entity: valuesByName(MAX_ENTITY_KEYS, 'The value of each entity key, e.g. `{ "user_id": "u1" }`.'),
  values: valuesByName(
    MAX_FEATURES,
    "The value of each feature, as its type says. A feature that is null or left out has no value in this row, whatever earlier rows say.",
  ),
  eventTime: microInstant("When it was true, to the microsecond."),
});
export type FeatureRow = z.output<typeof FeatureRow>;

export const WriteFeaturesRequest = message("WriteFeaturesRequest", "Rows of one feature group.", {
  namespace: namespaceField,
  group: groupField,
  version: versionField.optional().describe("The version to write to; the current one where absent."),
  rows: z
    .array(FeatureRow)
    .min(1)
    .max(MAX_WRITE_ROWS)
    .describe(`1 to ${MAX_WRITE_ROWS} rows. Of rows with one entity and event time the last one wins.`),
});
export type WriteFeaturesRequest = z.output<typeof WriteFeaturesRequest>;

export const WriteFeaturesResponse = message("WriteFeaturesResponse", "What became of the rows.", {
  version: versionField.describe("The version they were written to."),
  writtenRows: z.int32().describe("Rows that are durable and can be read."),
  quarantinedRows: z.int32().describe("Rows that were bad and are kept in the quarantine."),
});
export type WriteFeaturesResponse = z.output<typeof WriteFeaturesResponse>;

export const QuarantineProblem = message("QuarantineProblem", "What was wrong with a row.", {
  field: z.string().describe("Where, e.g. `values.clicks`."),
  message: z.string().describe("What was wrong, and how to mend it."),
});

export const QuarantinedRow = message("QuarantinedRow", "A row that was refused and kept.", {
  rowId: uuidField("Its id."),
  group: groupField,
  version: versionField.describe("The version it was meant for."),
  row: FeatureRow.optional()
    .describe("The row as it was sent; only for callers who may read values.")
    .meta({ visibleTo: "features.readValues" }),
  problems: z.array(QuarantineProblem).describe("All that was wrong."),
  quarantinedAt: instant("When it was refused."),
});
export type QuarantinedRow = z.output<typeof QuarantinedRow>;

const oneGroup = { namespace: namespaceField, group: groupField };
const MAX_REPLAYED = 1000;

export const ListQuarantineRequest = message("ListQuarantineRequest", "One page of refused rows, oldest first.", {
  ...oneGroup,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListQuarantineRequest = z.output<typeof ListQuarantineRequest>;
export const ListQuarantineResponse = message("ListQuarantineResponse", "Refused rows.", {
  rows: z.array(QuarantinedRow).describe("Oldest first."),
  nextPageToken: nextPageTokenField,
});

export const MendedRow = message("MendedRow", "A refused row as it should have been.", {
  rowId: uuidField("Which refused row it stands for."),
  row: FeatureRow.optional().describe(
    "What to write; the row as it was sent where absent, e.g. after a rule was changed.",
  ),
});
export const ReplayQuarantineRequest = message("ReplayQuarantineRequest", "Rows to write again.", {
  ...oneGroup,
  version: versionField.optional().describe("The version to write to; the current one where absent."),
  rows: z.array(MendedRow).min(1).max(MAX_REPLAYED).describe(`1 to ${MAX_REPLAYED} rows, each named once.`),
});
export type ReplayQuarantineRequest = z.output<typeof ReplayQuarantineRequest>;
export const ReplayQuarantineResponse = message("ReplayQuarantineResponse", "What became of the rows.", {
  version: versionField.describe("The version they were written to."),
  writtenRows: z.int32().describe("Rows that were written and have left the quarantine."),
  stillBad: z.array(QuarantinedRow).describe("Rows that stay, with what is wrong with them now."),
});

export const PurgeQuarantineRequest = message("PurgeQuarantineRequest", "Refused rows to delete for good.", {
  ...oneGroup,
  rowIds: z
    .array(uuidField("A row's id."))
    .max(MAX_REPLAYED)
    .default([])
    .describe(`At most ${MAX_REPLAYED} rows; all of the group where empty.`),
});
export type PurgeQuarantineRequest = z.output<typeof PurgeQuarantineRequest>;
export const PurgeQuarantineResponse = message("PurgeQuarantineResponse", "What was deleted.", {
  purgedRows: z.int32().describe("How many rows."),
});
