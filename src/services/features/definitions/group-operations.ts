import { operation } from "../../../core/operation.ts";
import * as model from "./group-model.ts";
import type { GroupService } from "./group-service.ts";
import { ListFeatureGroupUsesRequest, ListFeatureGroupUsesResponse } from "./view-model.ts";

interface Groups {
  readonly featureGroups: GroupService;
}

const allGroups = "/v1/namespaces/{namespace}/featureGroups";
const oneGroup = `${allGroups}/{group}`;

const REVISION_MISMATCH = "ABORTED with reason REVISION_MISMATCH says that somebody else was quicker.";

const createGroup = operation({
  name: "featureGroups.create",
  summary: "Creates a feature group with version 1 of its schema.",
  description:
    "ALREADY_EXISTS with reason FEATURE_GROUP_EXISTS says that the name is taken. A rule that cannot hold for its feature's type is refused by its field, e.g. `features[2].rules.pattern`.",
  rest: `POST ${allGroups}`,
  grpc: "FeatureService/CreateFeatureGroup",
  graphql: "mutation createFeatureGroup",
  permission: "features.manage",
  input: model.CreateFeatureGroupRequest,
  output: model.CreateFeatureGroupResponse,
  handle: async ({ featureGroups }: Groups, input, { principal }) => ({
    featureGroup: await featureGroups.create(input, principal),
  }),
});

const getGroup = operation({
  name: "featureGroups.get",
  summary: "Answers one feature group with its current schema.",
  rest: `GET ${oneGroup}`,
  grpc: "FeatureService/GetFeatureGroup",
  graphql: "query featureGroup",
  permission: "features.read",
  input: model.GetFeatureGroupRequest,
  output: model.GetFeatureGroupResponse,
  handle: async ({ featureGroups }: Groups, input) => ({ featureGroup: await featureGroups.get(input) }),
});

const listGroups = operation({
  name: "featureGroups.list",
  summary: "Answers a page of feature groups, by name.",
  rest: `GET ${allGroups}`,
  grpc: "FeatureService/ListFeatureGroups",
  graphql: "query featureGroups",
  permission: "features.read",
  input: model.ListFeatureGroupsRequest,
  output: model.ListFeatureGroupsResponse,
  handle: ({ featureGroups }: Groups, input) => featureGroups.list(input),
});

const updateGroup = operation({
  name: "featureGroups.update",
  summary: "Changes a feature group's description, owner or tags.",
  description: `The schema changes by new versions alone. ${REVISION_MISMATCH}`,
  rest: `PATCH ${oneGroup}`,
  grpc: "FeatureService/UpdateFeatureGroup",
  graphql: "mutation updateFeatureGroup",
  permission: "features.manage",
  input: model.UpdateFeatureGroupRequest,
  output: model.UpdateFeatureGroupResponse,
  handle: async ({ featureGroups }: Groups, input) => ({ featureGroup: await featureGroups.update(input) }),
});

const deleteGroup = operation({
  name: "featureGroups.delete",
  summary: "Deletes a feature group with all its versions, rows and shares.",
  description:
    "FAILED_PRECONDITION with reason FEATURE_GROUP_IN_USE says that views read it, also those of other namespaces. Its rows are cleared away in the background.",
  rest: `DELETE ${oneGroup}`,
  grpc: "FeatureService/DeleteFeatureGroup",
  graphql: "mutation deleteFeatureGroup",
  permission: "features.manage",
  input: model.DeleteFeatureGroupRequest,
  output: model.DeleteFeatureGroupResponse,
  handle: async ({ featureGroups }: Groups, input) => {
    await featureGroups.delete(input);
    return { group: input.group };
  },
});

const createVersion = operation({
  name: "featureGroups.createVersion",
  summary: "Gives a feature group a new version of its schema, current at once or staged.",
  description:
    "A version is compatible where it has the same entity keys and all features of the current version, each with its type; features may be added. " +
    "FAILED_PRECONDITION with reason SCHEMA_INCOMPATIBLE says what is not, and allowIncompatible makes the version all the same, without rows. " +
    `Of a schema that changes nothing no version is made: the one that is there is answered. ${REVISION_MISMATCH}`,
  rest: `POST ${oneGroup}/versions`,
  grpc: "FeatureService/CreateFeatureGroupVersion",
  graphql: "mutation createFeatureGroupVersion",
  permission: "features.manage",
  input: model.CreateFeatureGroupVersionRequest,
  output: model.CreateFeatureGroupVersionResponse,
  handle: ({ featureGroups }: Groups, input, { principal }) => featureGroups.createVersion(input, principal),
});

const getVersion = operation({
  name: "featureGroups.getVersion",
  summary: "Answers one version of a feature group.",
  rest: `GET ${oneGroup}/versions/{version}`,
  grpc: "FeatureService/GetFeatureGroupVersion",
  graphql: "query featureGroupVersion",
  permission: "features.read",
  input: model.GetFeatureGroupVersionRequest,
  output: model.GetFeatureGroupVersionResponse,
  handle: async ({ featureGroups }: Groups, input) => ({
    version: await featureGroups.getVersion(input, input.version),
  }),
});

const listVersions = operation({
  name: "featureGroups.listVersions",
  summary: "Answers a page of a feature group's versions, newest first.",
  rest: `GET ${oneGroup}/versions`,
  grpc: "FeatureService/ListFeatureGroupVersions",
  graphql: "query featureGroupVersions",
  permission: "features.read",
  input: model.ListFeatureGroupVersionsRequest,
  output: model.ListFeatureGroupVersionsResponse,
  handle: ({ featureGroups }: Groups, input) => featureGroups.listVersions(input),
});

const promoteVersion = operation({
  name: "featureGroups.promote",
  summary: "Makes a staged or an earlier version of a feature group the current one.",
  description: `Promoting the current version changes nothing. ${REVISION_MISMATCH}`,
  rest: `POST ${oneGroup}/versions/{version}:promote`,
  grpc: "FeatureService/PromoteFeatureGroupVersion",
  graphql: "mutation promoteFeatureGroupVersion",
  permission: "features.manage",
  input: model.PromoteFeatureGroupVersionRequest,
  output: model.PromoteFeatureGroupVersionResponse,
  handle: ({ featureGroups }: Groups, input) => featureGroups.promote(input),
});

const listUses = operation({
  name: "featureGroups.listUses",
  summary: "Answers a page of the views that read a feature group, also those of other namespaces.",
  rest: `GET ${oneGroup}/uses`,
  grpc: "FeatureService/ListFeatureGroupUses",
  graphql: "query featureGroupUses",
  permission: "features.read",
  input: ListFeatureGroupUsesRequest,
  output: ListFeatureGroupUsesResponse,
  handle: ({ featureGroups }: Groups, input) => featureGroups.listUses(input),
});

/** Everything clients can do with feature groups. */
export const groupOperations = [
  createGroup,
  getGroup,
  listGroups,
  updateGroup,
  deleteGroup,
  createVersion,
  getVersion,
  listVersions,
  promoteVersion,
  listUses,
] as const;
