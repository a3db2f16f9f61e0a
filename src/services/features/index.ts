export {
  holdsDefinitions as holdsFeatures,
  purgeDefinitions as purgeFeaturesOf,
} from "./definitions/namespace-content.ts";
export { createFeaturesDomain, type FeatureServices, type FeaturesDomain } from "./features-domain.ts";
export { featureMigrations } from "./migrations.ts";
export { featureEdges, featureOperations } from "./operations.ts";
export { readFeatureUsage } from "./upkeep/feature-usage.ts";
