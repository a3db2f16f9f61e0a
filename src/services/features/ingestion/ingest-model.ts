import { z } from "zod";
import { message, namespaceField } from "../../../core/schema.ts";
import { groupField, MAX_ENTITY_KEYS, MAX_FEATURES, versionField } from "../definitions/group-model.ts";
import { bulkList } from "../values/bulk-list.ts";
import { FeatureValues } from "../values/value-columns.ts";
import { FeatureRow, MAX_WRITE_ROWS, QuarantineProblem } from "./write-model.ts";

export const IngestColumn = message("IngestColumn", "One entity key or feature of all rows of a batch.", {
  name: z.string().max(63).describe("The entity key's or feature's name."),
  values: FeatureValues.describe("One for each row, of the type that the schema says."),
  nullRows: z
    .array(z.int32().min(0).max(MAX_WRITE_ROWS))
    .max(MAX_WRITE_ROWS)
    .default([])
    .describe("Rows without a value, counted from 0: what stands in `values` for them is not looked at."),
});
export type IngestColumn = z.output<typeof IngestColumn>;

export const IngestColumns = message("IngestColumns", "Rows as columns: the fastest way to write many.", {
  entities: z.array(IngestColumn).min(1).max(MAX_ENTITY_KEYS).describe("The entity keys, all of them."),
  features: z.array(IngestColumn).max(MAX_FEATURES).describe("The features; one that is left out has no value."),
  eventTimesMicros: bulkList(
    z
      .array(z.int().min(0).max(Number.MAX_SAFE_INTEGER))
      .min(1)
      .max(MAX_WRITE_ROWS)
      .describe("When each row was true, in microseconds since the Unix epoch."),
    (value) => Number.isSafeInteger(value) && (value as number) >= 0,
    (length) => length >= 1 && length <= MAX_WRITE_ROWS,
  ),
});
export type IngestColumns = z.output<typeof IngestColumns>;

export const IngestFeaturesRequest = message("IngestFeaturesRequest", "One batch of rows, of one feature group.", {
  namespace: namespaceField,
  group: groupField,
  version: versionField.optional().describe("The version to write to; the current one where absent."),
  batch: z.int().min(0).describe("The client's own number for the batch; its answer repeats it."),
  rows: z.array(FeatureRow).max(MAX_WRITE_ROWS).default([]).describe("The rows, where they are not sent as columns."),
  columns: IngestColumns.optional().describe("The rows as columns."),
});
export type IngestFeaturesRequest = z.output<typeof IngestFeaturesRequest>;

export const BadRow = message("BadRow", "A row that was not written.", {
  row: z.int32().describe("Its place in the batch, counted from 0."),
  problems: z.array(QuarantineProblem).describe("All that was wrong."),
});

export const IngestFeaturesResponse = message(
  "IngestFeaturesResponse",
  "What became of one batch. Batches are answered in the order in which they came, each once its rows are durable and can be read: every row that is not among the bad ones is.",
  {
    batch: z.int().describe("The client's number for the batch."),
    writtenRows: z.int32().describe("Rows that are durable and can be read."),
    quarantinedRows: z.int32().describe("Bad rows that are kept in the quarantine."),
    badRows: z.array(BadRow).describe("Rows that were not written, and why. The first 1000 of them."),
    code: z
      .string()
      .optional()
      .describe("The canonical code, e.g. INVALID_ARGUMENT, where nothing of the batch was written; absent otherwise."),
    reason: z.string().optional().describe("The stable reason, where nothing was written."),
    message: z.string().optional().describe("For people, where nothing was written."),
  },
);
export type IngestFeaturesResponse = z.output<typeof IngestFeaturesResponse>;
