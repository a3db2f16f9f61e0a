import { groupOperations } from "./group-operations.ts";
import { shareOperations } from "./share-operations.ts";
import { viewOperations } from "./view-operations.ts";

/** Everything clients can do with definitions. */
export const definitionOperations = [...groupOperations, ...viewOperations, ...shareOperations] as const;
