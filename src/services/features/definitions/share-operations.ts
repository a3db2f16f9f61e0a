import { operation } from "../../../core/operation.ts";
import type { FeatureSearch } from "./search-service.ts";
import type { ShareService } from "./share-service.ts";
import * as model from "./view-model.ts";

interface Sharing {
  readonly featureShares: ShareService;
  readonly featureSearch: FeatureSearch;
}

const allShares = "/v1/namespaces/{namespace}/featureShares";

const share = operation({
  name: "featureShares.share",
  summary: "Lets another namespace read a feature group or view.",
  description:
    "Nobody learns from it whether the other namespace is there. Sharing a view lets its reader read those of its features that the sharing namespace owns. " +
    "FAILED_PRECONDITION with reason NAMESPACE_STRICT says that the namespace shares nothing; a share that was made before means nothing while it is STRICT.",
  rest: `POST ${allShares}`,
  grpc: "FeatureService/ShareFeatures",
  graphql: "mutation shareFeatures",
  permission: "features.share",
  input: model.ShareFeaturesRequest,
  output: model.ShareFeaturesResponse,
  handle: async ({ featureShares }: Sharing, input, call) => ({
    share: await featureShares.share(input, call.namespace!, call.principal),
  }),
});

const unshare = operation({
  name: "featureShares.unshare",
  summary: "Ends a share: the other namespace reads it no more, within seconds everywhere.",
  rest: `DELETE ${allShares}/{resourceType}/{resource}/{withNamespace}`,
  grpc: "FeatureService/UnshareFeatures",
  graphql: "mutation unshareFeatures",
  permission: "features.share",
  input: model.UnshareFeaturesRequest,
  output: model.UnshareFeaturesResponse,
  handle: async ({ featureShares }: Sharing, input) => {
    await featureShares.unshare(input);
    return { resource: input.resource, withNamespace: input.withNamespace };
  },
});

const listShares = operation({
  name: "featureShares.list",
  summary: "Answers a page of the shares that a namespace granted, or received.",
  rest: `GET ${allShares}`,
  grpc: "FeatureService/ListFeatureShares",
  graphql: "query featureShares",
  permission: "features.read",
  input: model.ListFeatureSharesRequest,
  output: model.ListFeatureSharesResponse,
  handle: ({ featureShares }: Sharing, input) => featureShares.list(input),
});

const search = operation({
  name: "features.search",
  summary: "Finds feature groups, views and features by text, tag, owner and type.",
  rest: "GET /v1/namespaces/{namespace}/features:search",
  grpc: "FeatureService/SearchFeatures",
  graphql: "query searchFeatures",
  permission: "features.read",
  input: model.SearchFeaturesRequest,
  output: model.SearchFeaturesResponse,
  handle: ({ featureSearch }: Sharing, input, { principal }) => featureSearch.search(input, principal),
});

/** Everything clients can do to share and find features. */
export const shareOperations = [share, unshare, listShares, search] as const;
