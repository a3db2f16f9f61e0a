import { z } from "zod";
import { json } from "../../../core/json.ts";
import { nextPageTokenField, pageSizeField, pageTokenField } from "../../../core/page.ts";
import { durationMs, enumeration, instant, message, nameField, namespaceField, text } from "../../../core/schema.ts";
import { EntityKeyType, FeatureType } from "../values/feature-type.ts";

export const MAX_FEATURES = 1000;
export const MAX_ENTITY_KEYS = 8;
export const MAX_DIMENSION = 4096;
const MAX_TAGS = 32;
const DAY_MS = 86_400_000;
const MAX_TTL_MS = 3650 * DAY_MS;
const MAX_RULE_VALUES = 1000;
const DEFAULT_MAX_AHEAD_MS = 3_600_000;

/** Columns that every Parquet file has besides the features. */
const RESERVED_NAMES: ReadonlySet<string> = new Set(["event_time", "created_at", "write_sequence"]);
const COLUMN_NAME = /^[a-z][a-z0-9_]{0,62}$/;

/** The name of a feature or an entity key: a column's name in the Parquet files, so it is narrower than other names. */
export function columnNameField(description: string) {
  return z
    .string()
    .regex(COLUMN_NAME, { error: "must be 1 to 63 of a-z, 0-9 and '_', and start with a letter" })
    .refine((name) => !RESERVED_NAMES.has(name), { error: "is a name that the store keeps for a column of its own" })
    .describe(description);
}

export const groupField = nameField("The feature group, e.g. `user_features`.");
export const versionField = z.int32().min(1).max(1_000_000).describe("The version's number: 1, 2, 3 …");
export const tagsField = z
  .array(nameField("A word to find it by."))
  .max(MAX_TAGS)
  .describe(`At most ${MAX_TAGS} words to find it by.`);
/** What an update says of tags. Over gRPC an empty list is as good as absent, so to take all away is said apart. */
export const tagChanges = {
  tags: tagsField.min(1).optional().describe("The tags it has from now on."),
  clearTags: z.boolean().default(false).describe("Take all its tags away; `tags` must be absent then."),
};
export const ownerField = text(200).describe("Who answers for it: a team or a person.");
export const descriptionField = text(2000).describe("What it is, for those who look for features.");
export const revisionField = z.int().describe("Grows with each change.");
export const onlyRevisionField = z.int().min(1).optional().describe("Change it only if it still has this revision.");

export const EntityKey = message("EntityKey", "One part of what names an entity.", {
  name: columnNameField("Its name, e.g. `user_id`."),
  type: EntityKeyType.describe("What its values are."),
  description: descriptionField.optional(),
});

export const FeatureRules = message(
  "FeatureRules",
  "What a feature's values must be like, besides their type. Rules hold for values that are there; notNull asks for one.",
  {
    notNull: z.boolean().optional().describe("Every row must have a value."),
    min: z.number().optional().describe("The smallest number allowed: INT64, DOUBLE and the items of their lists."),
    max: z.number().optional().describe("The largest number allowed: INT64, DOUBLE and the items of their lists."),
    allowedValues: z
      .array(json("A value."))
      .min(1)
      .max(MAX_RULE_VALUES)
      .optional()
      .describe("The only values allowed: BOOL, INT64, DOUBLE and STRING."),
    pattern: text(500, 1)
      .optional()
      .describe("A regular expression in RE2 syntax that the whole text must match: STRING."),
    minLength: z.int32().min(0).optional().describe("The fewest characters, bytes or items: STRING, BYTES and lists."),
    maxLength: z.int32().min(0).optional().describe("The most characters, bytes or items: STRING, BYTES and lists."),
    unique: z
      .boolean()
      .optional()
      .describe("No two rows of one write may have the same value: BOOL, INT64, DOUBLE, STRING and TIMESTAMP."),
  },
);
export type FeatureRules = z.output<typeof FeatureRules>;

export const FeatureDefinition = message("FeatureDefinition", "One feature of a group.", {
  name: columnNameField("Its name, e.g. `clicks_7d`."),
  type: FeatureType.describe("What its values are."),
  dimension: z
    .int32()
    .min(1)
    .max(MAX_DIMENSION)
    .optional()
    .describe(`How many numbers each value has, 1 to ${MAX_DIMENSION}: required for VECTOR, and for VECTOR alone.`),
  description: descriptionField.optional(),
  tags: tagsField.min(1).optional(),
  rules: FeatureRules.optional(),
});
export type FeatureDefinition = z.output<typeof FeatureDefinition>;

export const Freshness = message("Freshness", "How far a row's event time may lie from when it is written.", {
  maxAgeMs: durationMs(1, MAX_TTL_MS, "Older rows are refused; none is too old where absent.").optional(),
  maxAheadMs: durationMs(0, MAX_TTL_MS, "Rows from further in the future are refused; one hour where absent.").default(
    DEFAULT_MAX_AHEAD_MS,
  ),
});

export const ValidationMode = enumeration("ValidationMode", "What becomes of a write with bad rows.", {
  STRICT: "All of it is refused, naming row and field.",
  QUARANTINE: "The good rows are taken, and the bad ones kept where they can be read, mended and replayed.",
});
export type ValidationMode = z.output<typeof ValidationMode>;

const schemaFields = {
  entityKeys: z.array(EntityKey).min(1).max(MAX_ENTITY_KEYS).describe("What names an entity, in this order."),
  features: z.array(FeatureDefinition).min(1).max(MAX_FEATURES).describe("Its features."),
  ttlMs: durationMs(
    1,
    MAX_TTL_MS,
    "How long a value may be used after its event time: older ones are OUTSIDE_MAX_AGE. No limit where absent.",
  ).optional(),
  online: z.boolean().default(true).describe("Whether the newest row of each entity is kept for online reads."),
  offline: z.boolean().default(true).describe("Whether the history is kept for training data."),
  validation: ValidationMode.default("STRICT"),
  freshness: Freshness.default({ maxAheadMs: DEFAULT_MAX_AHEAD_MS }),
};
const GroupSchema = z.strictObject(schemaFields);
/** What a version says of its rows. */
export type GroupSchema = z.output<typeof GroupSchema>;

export const FeatureGroupVersionState = enumeration(
  "FeatureGroupVersionState",
  "What a version is to its group. Versions in all states can be written and read by their numbers.",
  {
    STAGED: "It waits to be promoted.",
    CURRENT: "It is meant where no number is given.",
    EARLIER: "It was staged or current once, until another took its place.",
  },
);

export const FeatureGroupVersion = message("FeatureGroupVersion", "One immutable schema of a feature group.", {
  namespace: namespaceField,
  group: groupField,
  version: versionField,
  state: FeatureGroupVersionState,
  dataSince: versionField.describe(
    "The first version that shares its rows: rows written under any version from it on can be read under this one.",
  ),
  ...schemaFields,
  createdBy: z.string().describe("The principal who made it."),
  createdAt: instant("When it was made."),
  promotedAt: instant("When it became current; absent while it is staged.").optional(),
});
export type FeatureGroupVersion = z.output<typeof FeatureGroupVersion>;

export const FeatureGroup = message("FeatureGroup", "Features of one kind of entity that are written together.", {
  namespace: namespaceField,
  group: groupField,
  description: descriptionField,
  owner: ownerField,
  tags: tagsField,
  currentVersion: versionField.describe("The version that is meant where none is named."),
  stagedVersion: versionField.optional().describe("The version that waits to be promoted."),
  schema: FeatureGroupVersion.describe("Its current version."),
  revision: revisionField,
  createdAt: instant("When it was made."),
  updatedAt: instant("When it was last changed."),
});
export type FeatureGroup = z.output<typeof FeatureGroup>;

const groupNow = { featureGroup: FeatureGroup.describe("The group as it is now.") };
const oneGroup = { namespace: namespaceField, group: groupField };

export const CreateFeatureGroupRequest = message("CreateFeatureGroupRequest", "A new feature group.", {
  ...oneGroup,
  description: descriptionField.default(""),
  owner: ownerField.default(""),
  tags: tagsField.default([]),
  ...schemaFields,
});
export type CreateFeatureGroupRequest = z.output<typeof CreateFeatureGroupRequest>;
export const CreateFeatureGroupResponse = message("CreateFeatureGroupResponse", "The new group.", groupNow);

export const GetFeatureGroupRequest = message("GetFeatureGroupRequest", "Which group.", oneGroup);
export const GetFeatureGroupResponse = message("GetFeatureGroupResponse", "The group.", groupNow);

export const ListFeatureGroupsRequest = message("ListFeatureGroupsRequest", "One page of groups, by name.", {
  namespace: namespaceField,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListFeatureGroupsRequest = z.output<typeof ListFeatureGroupsRequest>;
export const ListFeatureGroupsResponse = message("ListFeatureGroupsResponse", "The namespace's groups.", {
  featureGroups: z.array(FeatureGroup).describe("By name."),
  nextPageToken: nextPageTokenField,
});

export const UpdateFeatureGroupRequest = message(
  "UpdateFeatureGroupRequest",
  "What to change of what people read; the rest stays. The schema changes by new versions alone.",
  {
    ...oneGroup,
    description: descriptionField.optional(),
    owner: ownerField.optional(),
    ...tagChanges,
    revision: onlyRevisionField,
  },
);
export type UpdateFeatureGroupRequest = z.output<typeof UpdateFeatureGroupRequest>;
export const UpdateFeatureGroupResponse = message("UpdateFeatureGroupResponse", "The changed group.", groupNow);

export const DeleteFeatureGroupRequest = message("DeleteFeatureGroupRequest", "Which group to delete.", oneGroup);
export const DeleteFeatureGroupResponse = message("DeleteFeatureGroupResponse", "What was deleted.", {
  group: groupField,
});

export const CreateFeatureGroupVersionRequest = message(
  "CreateFeatureGroupVersionRequest",
  "The whole schema of a new version.",
  {
    ...oneGroup,
    ...schemaFields,
    allowIncompatible: z
      .boolean()
      .default(false)
      .describe("Make it also where the rows there are cannot be read under it: it then begins without any."),
    stage: z
      .boolean()
      .default(false)
      .describe(
        "Leave the current version as it is until this one is promoted; it becomes current at once where false. One version is staged at a time: another takes its place.",
      ),
    revision: onlyRevisionField,
  },
);
export type CreateFeatureGroupVersionRequest = z.output<typeof CreateFeatureGroupVersionRequest>;
const versionNow = {
  ...groupNow,
  version: FeatureGroupVersion.describe("The version."),
};
export const CreateFeatureGroupVersionResponse = message(
  "CreateFeatureGroupVersionResponse",
  "The new version, and its group. Where the schema changes nothing it is the version that was there.",
  versionNow,
);

const oneVersion = { ...oneGroup, version: versionField };
export const GetFeatureGroupVersionRequest = message("GetFeatureGroupVersionRequest", "Which version.", oneVersion);
export const GetFeatureGroupVersionResponse = message("GetFeatureGroupVersionResponse", "The version.", {
  version: FeatureGroupVersion.describe("The version."),
});
export const ListFeatureGroupVersionsRequest = message(
  "ListFeatureGroupVersionsRequest",
  "One page of a group's versions, newest first.",
  { ...oneGroup, pageSize: pageSizeField, pageToken: pageTokenField },
);
export type ListFeatureGroupVersionsRequest = z.output<typeof ListFeatureGroupVersionsRequest>;
export const ListFeatureGroupVersionsResponse = message("ListFeatureGroupVersionsResponse", "The versions.", {
  versions: z.array(FeatureGroupVersion).describe("Newest first."),
  nextPageToken: nextPageTokenField,
});
export const PromoteFeatureGroupVersionRequest = message(
  "PromoteFeatureGroupVersionRequest",
  "Which version to make current: a staged one, or an earlier one to go back to.",
  { ...oneVersion, revision: onlyRevisionField },
);
export type PromoteFeatureGroupVersionRequest = z.output<typeof PromoteFeatureGroupVersionRequest>;
export const PromoteFeatureGroupVersionResponse = message(
  "PromoteFeatureGroupVersionResponse",
  "The group, whose current version it is now.",
  versionNow,
);
