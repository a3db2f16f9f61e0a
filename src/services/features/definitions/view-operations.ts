import { operation } from "../../../core/operation.ts";
import * as model from "./view-model.ts";
import type { ViewService } from "./view-service.ts";

interface Views {
  readonly featureViews: ViewService;
}

const allViews = "/v1/namespaces/{namespace}/featureViews";
const oneView = `${allViews}/{view}`;

const createView = operation({
  name: "featureViews.create",
  summary: "Creates a feature view: the features that a model reads, by name.",
  description:
    "Each feature is pinned to the version of its group that is named, or else current now. Features of other namespaces can be taken in where they are shared or where everybody may read them. " +
    "ALREADY_EXISTS with reason FEATURE_VIEW_EXISTS says that the name is taken.",
  rest: `POST ${allViews}`,
  grpc: "FeatureService/CreateFeatureView",
  graphql: "mutation createFeatureView",
  permission: "features.manage",
  input: model.CreateFeatureViewRequest,
  output: model.CreateFeatureViewResponse,
  handle: async ({ featureViews }: Views, input, { principal }) => ({
    featureView: await featureViews.create(input, principal),
  }),
});

const getView = operation({
  name: "featureViews.get",
  summary: "Answers a version of a feature view, the newest where none is named.",
  rest: `GET ${oneView}`,
  grpc: "FeatureService/GetFeatureView",
  graphql: "query featureView",
  permission: "features.read",
  input: model.GetFeatureViewRequest,
  output: model.GetFeatureViewResponse,
  handle: async ({ featureViews }: Views, input) => ({ featureView: await featureViews.get(input) }),
});

const listViews = operation({
  name: "featureViews.list",
  summary: "Answers a page of feature views, by name.",
  rest: `GET ${allViews}`,
  grpc: "FeatureService/ListFeatureViews",
  graphql: "query featureViews",
  permission: "features.read",
  input: model.ListFeatureViewsRequest,
  output: model.ListFeatureViewsResponse,
  handle: ({ featureViews }: Views, input) => featureViews.list(input),
});

const updateView = operation({
  name: "featureViews.update",
  summary: "Changes a feature view; other features make a new version of it.",
  description:
    "Features that are named without a version are pinned to what is current now. Earlier versions can still be read by their numbers. " +
    "ABORTED with reason REVISION_MISMATCH says that somebody else was quicker.",
  rest: `PATCH ${oneView}`,
  grpc: "FeatureService/UpdateFeatureView",
  graphql: "mutation updateFeatureView",
  permission: "features.manage",
  input: model.UpdateFeatureViewRequest,
  output: model.UpdateFeatureViewResponse,
  handle: async ({ featureViews }: Views, input, { principal }) => ({
    featureView: await featureViews.update(input, principal),
  }),
});

const deleteView = operation({
  name: "featureViews.delete",
  summary: "Deletes a feature view with all its versions and shares.",
  rest: `DELETE ${oneView}`,
  grpc: "FeatureService/DeleteFeatureView",
  graphql: "mutation deleteFeatureView",
  permission: "features.manage",
  input: model.DeleteFeatureViewRequest,
  output: model.DeleteFeatureViewResponse,
  handle: async ({ featureViews }: Views, input) => {
    await featureViews.delete(input);
    return { view: input.view };
  },
});

/** Everything clients can do with feature views. */
export const viewOperations = [createView, getView, listViews, updateView, deleteView] as const;
