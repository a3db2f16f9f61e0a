import { definitionOperations } from "./definitions/definition-operations.ts";
import { definitionEdges } from "./definitions/edges.ts";
import { fileOperations } from "./files/file-operations.ts";
import { ingestionOperations } from "./ingestion/ingestion-operations.ts";
import { jobOperations } from "./jobs/job-operations.ts";
import { readingOperations } from "./reading/reading-operations.ts";

/** Everything clients can do with features. */
export const featureOperations = [
  ...definitionOperations,
  ...ingestionOperations,
  ...readingOperations,
  ...fileOperations,
  ...jobOperations,
] as const;

/** The GraphQL relations of this domain. */
export const featureEdges = [...definitionEdges] as const;
