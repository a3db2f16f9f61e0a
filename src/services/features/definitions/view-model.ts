import { z } from "zod";
import { nextPageTokenField, pageSizeField, pageTokenField } from "../../../core/page.ts";
import { enumeration, instant, message, nameField, namespaceField, text } from "../../../core/schema.ts";
import { FeatureType } from "../values/feature-type.ts";
import {
  columnNameField,
  descriptionField,
  groupField,
  MAX_FEATURES,
  onlyRevisionField,
  ownerField,
  revisionField,
  tagChanges,
  tagsField,
  versionField,
} from "./group-model.ts";

const REFERENCE =
  /^(?:[a-z0-9][a-z0-9._-]{0,62}\/)?[a-z0-9][a-z0-9._-]{0,62}(?:@v[1-9][0-9]{0,6})?:[a-z][a-z0-9_]{0,62}$/;

/** Names one feature: `group:feature`, with a version `group@v3:feature`, shared by another namespace `team/group:feature`. */
export const featureReferenceField = z
  .string()
  .max(300)
  .regex(REFERENCE, {
    error: "must be `group:feature`, with a version `group@v3:feature`, of another namespace `namespace/group:feature`",
  })
  .describe(
    "A feature: `group:feature`; with a version `group@v3:feature`; shared by another namespace `namespace/group:feature`.",
  );

const VIEW_REFERENCE = /^(?:[a-z0-9][a-z0-9._-]{0,62}\/)?[a-z0-9][a-z0-9._-]{0,62}(?:@v[1-9][0-9]{0,6})?$/;

/** Names a view for a read: `view`, with a version `view@v2`, shared by another namespace `team/view`. */
export const viewReferenceField = z
  .string()
  .max(200)
  .regex(VIEW_REFERENCE, {
    error: "must be `view`, with a version `view@v2`, of another namespace `namespace/view`",
  })
  .describe("A view: `view`; with a version `view@v2`; shared by another namespace `namespace/view`.");

export const viewField = nameField("The feature view, e.g. `fraud_model`.");

export const FeatureViewMember = message("FeatureViewMember", "A feature that a view takes in.", {
  feature: featureReferenceField,
  alias: columnNameField("What the view calls it; the feature's own name where absent.").optional(),
});
export type FeatureViewMember = z.output<typeof FeatureViewMember>;

export const FeatureViewColumn = message(
  "FeatureViewColumn",
  "A feature of a view, as it was found when the view was made.",
  {
    name: z.string().describe("What the view calls it."),
    namespace: namespaceField.describe("The namespace that owns it."),
    group: groupField,
    version: versionField.describe("The version of the group that is read, whatever is current there."),
    feature: columnNameField("Its name in the group."),
    type: FeatureType.describe("What its values are."),
  },
);
export type FeatureViewColumn = z.output<typeof FeatureViewColumn>;

export const FeatureView = message(
  "FeatureView",
  "A named, versioned list of features across groups, as a model uses them. A version never changes.",
  {
    namespace: namespaceField,
    view: viewField,
    version: versionField,
    currentVersion: versionField.describe("The version that is meant where none is named: the newest."),
    description: descriptionField,
    owner: ownerField,
    tags: tagsField,
    columns: z.array(FeatureViewColumn).describe("In the order in which reads answer them."),
    revision: revisionField,
    createdAt: instant("When this version was made."),
    updatedAt: instant("When the view was last changed."),
  },
);
export type FeatureView = z.output<typeof FeatureView>;

const oneView = { namespace: namespaceField, view: viewField };
const viewNow = { featureView: FeatureView.describe("The view as it is now.") };
const membersField = z.array(FeatureViewMember).min(1).max(MAX_FEATURES).describe("Its features, in this order.");

export const CreateFeatureViewRequest = message("CreateFeatureViewRequest", "A new view.", {
  ...oneView,
  description: descriptionField.default(""),
  owner: ownerField.default(""),
  tags: tagsField.default([]),
  features: membersField,
});
export type CreateFeatureViewRequest = z.output<typeof CreateFeatureViewRequest>;
export const CreateFeatureViewResponse = message("CreateFeatureViewResponse", "The new view.", viewNow);

export const UpdateFeatureViewRequest = message(
  "UpdateFeatureViewRequest",
  "What to change; the rest stays. Other features make a new version; the earlier ones can still be read.",
  {
    ...oneView,
    description: descriptionField.optional(),
    owner: ownerField.optional(),
    ...tagChanges,
    features: membersField.optional(),
    revision: onlyRevisionField,
  },
);
export type UpdateFeatureViewRequest = z.output<typeof UpdateFeatureViewRequest>;
export const UpdateFeatureViewResponse = message("UpdateFeatureViewResponse", "The changed view.", viewNow);

export const GetFeatureViewRequest = message("GetFeatureViewRequest", "Which view.", {
  ...oneView,
  version: versionField.optional().describe("Which version; the newest where absent."),
});
export type GetFeatureViewRequest = z.output<typeof GetFeatureViewRequest>;
export const GetFeatureViewResponse = message("GetFeatureViewResponse", "The view.", viewNow);

export const ListFeatureViewsRequest = message("ListFeatureViewsRequest", "One page of views, by name.", {
  namespace: namespaceField,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListFeatureViewsRequest = z.output<typeof ListFeatureViewsRequest>;
export const ListFeatureViewsResponse = message("ListFeatureViewsResponse", "The namespace's views.", {
  featureViews: z.array(FeatureView).describe("By name, each in its newest version."),
  nextPageToken: nextPageTokenField,
});

export const DeleteFeatureViewRequest = message("DeleteFeatureViewRequest", "Which view to delete.", oneView);
export const DeleteFeatureViewResponse = message("DeleteFeatureViewResponse", "What was deleted.", { view: viewField });

export const FeatureResourceType = enumeration("FeatureResourceType", "What can be shared and found.", [
  "GROUP",
  "VIEW",
]);
export type FeatureResourceType = z.output<typeof FeatureResourceType>;

export const FeatureShare = message("FeatureShare", "Lets another namespace read a group or a view.", {
  namespace: namespaceField,
  resourceType: FeatureResourceType.describe("What is shared."),
  resource: nameField("The group's or view's name."),
  withNamespace: namespaceField.describe("The namespace that may read it."),
  createdBy: z.string().describe("The principal who shared it."),
  createdAt: instant("When it was shared."),
});
export type FeatureShare = z.output<typeof FeatureShare>;

const oneShare = {
  namespace: namespaceField,
  resourceType: FeatureResourceType.describe("What is shared."),
  resource: nameField("The group's or view's name."),
  withNamespace: namespaceField.describe("The namespace that may read it."),
};
export const ShareFeaturesRequest = message("ShareFeaturesRequest", "What to share with whom.", oneShare);
export type ShareFeaturesRequest = z.output<typeof ShareFeaturesRequest>;
export const ShareFeaturesResponse = message("ShareFeaturesResponse", "The share.", {
  share: FeatureShare.describe("The share; sharing again answers the first one."),
});
export const UnshareFeaturesRequest = message("UnshareFeaturesRequest", "Which share to end.", oneShare);
export type UnshareFeaturesRequest = z.output<typeof UnshareFeaturesRequest>;
export const UnshareFeaturesResponse = message("UnshareFeaturesResponse", "What is shared no more.", {
  resource: z.string().describe("The group's or view's name."),
  withNamespace: z.string().describe("The namespace that may read it no more."),
});
export const ListFeatureSharesRequest = message("ListFeatureSharesRequest", "One page of shares.", {
  namespace: namespaceField,
  received: z.boolean().default(false).describe("Those that others granted to this namespace, not those it granted."),
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListFeatureSharesRequest = z.output<typeof ListFeatureSharesRequest>;
export const ListFeatureSharesResponse = message("ListFeatureSharesResponse", "The shares.", {
  shares: z.array(FeatureShare).describe("By namespace, resource and receiver."),
  nextPageToken: nextPageTokenField,
});

export const FeatureGroupUse = message("FeatureGroupUse", "A view that reads a group.", {
  namespace: namespaceField,
  view: viewField,
  viewVersion: versionField,
  groupVersion: versionField.describe("The version of the group it reads."),
});
export type FeatureGroupUse = z.output<typeof FeatureGroupUse>;
export const ListFeatureGroupUsesRequest = message("ListFeatureGroupUsesRequest", "Who uses a group.", {
  namespace: namespaceField,
  group: groupField,
  pageSize: pageSizeField,
  pageToken: pageTokenField,
});
export type ListFeatureGroupUsesRequest = z.output<typeof ListFeatureGroupUsesRequest>;
export const ListFeatureGroupUsesResponse = message("ListFeatureGroupUsesResponse", "Views that read the group.", {
  uses: z.array(FeatureGroupUse).describe("By namespace, view and version, also those of other namespaces."),
  nextPageToken: nextPageTokenField,
});

export const FoundFeature = message("FoundFeature", "A group, a view or a feature that a search found.", {
  namespace: namespaceField,
  resourceType: FeatureResourceType.describe("Whether it is a group (or a feature of one) or a view."),
  resource: z.string().describe("The group's or view's name."),
  version: versionField.describe("Its current version."),
  feature: z
    .string()
    .optional()
    .describe("The feature within the group; absent where the group or view itself matches."),
  type: FeatureType.optional().describe("The feature's type."),
  description: z.string().describe("Of the feature, or else of the group or view."),
  owner: z.string().describe("Who answers for it."),
  tags: z.array(z.string()).describe("Words to find it by: the feature's own, then those of its group."),
  reference: z.string().describe("What to name it by in a read or a view, e.g. `team/user_features:clicks_7d`."),
});
export type FoundFeature = z.output<typeof FoundFeature>;
export const SearchFeaturesRequest = message(
  "SearchFeaturesRequest",
  "Every condition must hold. Searches the namespace, what is shared with it, namespaces that everybody may read, and others in which the caller holds features.read. A page may hold fewer than asked for, even none, where there is a next one.",
  {
    namespace: namespaceField,
    text: text(200).optional().describe("Words that its name or description must hold, in any case."),
    tag: nameField("A tag that it, or its group, must have.").optional(),
    owner: ownerField.optional().describe("Its owner, in full."),
    type: FeatureType.optional().describe("Only features of this type."),
    pageSize: pageSizeField,
    pageToken: pageTokenField,
  },
);
export type SearchFeaturesRequest = z.output<typeof SearchFeaturesRequest>;
export const SearchFeaturesResponse = message("SearchFeaturesResponse", "What was found.", {
  found: z.array(FoundFeature).describe("By namespace, resource and feature."),
  nextPageToken: nextPageTokenField,
});
