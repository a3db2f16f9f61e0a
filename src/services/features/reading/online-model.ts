import { z } from "zod";
import { json } from "../../../core/json.ts";
import { durationMs, message, namespaceField } from "../../../core/schema.ts";
import { columnNameField, MAX_ENTITY_KEYS, MAX_FEATURES } from "../definitions/group-model.ts";
import { featureReferenceField } from "../definitions/view-model.ts";
import { FeatureColumn, FeatureSource } from "./column-model.ts";

export const MAX_READ_ENTITIES = 10_000;
const MAX_STALENESS_MS = 3_600_000;
const VIEW_REFERENCE = /^(?:[a-z0-9][a-z0-9._-]{0,62}\/)?[a-z0-9][a-z0-9._-]{0,62}(?:@v[1-9][0-9]{0,6})?$/;

/** What to read: a view, or features by name. */
export const whatToRead = {
  view: z
    .string()
    .max(200)
    .regex(VIEW_REFERENCE, {
      error: "must be `view`, with a version `view@v2`, of another namespace `namespace/view`",
    })
    .optional()
    .describe("A feature view: `view`; with a version `view@v2`; shared by another namespace `namespace/view`."),
  features: z
    .array(featureReferenceField)
    .max(MAX_FEATURES)
    .default([])
    .describe("Features by name, where no view is named."),
};

export const EntityColumn = message("EntityColumn", "The values of one entity key.", {
  key: columnNameField("The entity key, e.g. `user_id`."),
  values: z
    .array(json("A value."))
    .max(MAX_READ_ENTITIES)
    .describe("One for each row; all columns of a read have the same length."),
});
export type EntityColumn = z.output<typeof EntityColumn>;

export const entitiesField = z
  .array(EntityColumn)
  .min(1)
  .max(MAX_ENTITY_KEYS * 8)
  .describe(
    `The entities, as one column for each entity key that the features need: at most ${MAX_READ_ENTITIES} rows. A row whose key is null is answered NOT_FOUND.`,
  );

export const ReadFeaturesRequest = message("ReadFeaturesRequest", "Which features of which entities.", {
  namespace: namespaceField,
  ...whatToRead,
  entities: entitiesField,
  maxStalenessMs: durationMs(
    0,
    MAX_STALENESS_MS,
    "How old an answer may be: within this, the gateway may answer from its own memory. 0 always asks the store.",
  ).default(0),
});
export type ReadFeaturesRequest = z.output<typeof ReadFeaturesRequest>;

export const ReadFeaturesResponse = message("ReadFeaturesResponse", "The newest values of each entity, as columns.", {
  columns: z.array(FeatureColumn).describe("In the order of the view, or of the request."),
  sources: z.array(FeatureSource).describe("The group versions that the columns come from."),
});
export type ReadFeaturesResponse = z.output<typeof ReadFeaturesResponse>;
