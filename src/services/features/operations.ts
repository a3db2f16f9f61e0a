import { definitionOperations } from "./definitions/definition-operations.ts";
import { definitionEdges } from "./definitions/edges.ts";
import { ingestionOperations } from "./ingestion/ingestion-operations.ts";
import { readingOperations } from "./reading/reading-operations.ts";

/** Everything clients can do with features. */
export const featureOperations = [...definitionOperations, ...ingestionOperations, ...readingOperations] as const;

/** The GraphQL relations of this domain. */
export const featureEdges = [...definitionEdges] as const;
