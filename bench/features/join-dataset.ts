import type { Dataset } from "../../src/services/features/values/dataset.ts";

/** The feature rows of the join: one key and five doubles. */
export const dataset: Dataset = {
  datasetId: 1,
  namespace: "default",
  group: "users",
  firstVersion: 1,
  entityKeys: [{ name: "user", type: "INT64" }],
  features: Array.from({ length: 5 }, (_, index) => ({ name: `score_${index}`, type: "DOUBLE" })),
};
export const FEATURES = dataset.features.map(({ name }) => name);
export const ENTITY_ROWS = 1_000_000;

/** What a process that joins is told on its command line, as JSON. */
export interface JoinSettings {
  /** Through the gateway's offline store, or in SQL that one writes by hand. */
  readonly kind: "STORE" | "HAND";
  readonly dataDir: string;
  /** Where the catalogue of the files is. */
  readonly databaseUrl: string;
  readonly files: readonly string[];
  readonly entities: string;
  readonly target: string;
}

/** What it answers to each order. */
export interface JoinRun {
  readonly ms: number;
  /** Of all threads: unlike the time, a busy neighbour hardly changes it. */
  readonly cpuMs: number;
  /** VmHWM: the most memory the process had during this run. */
  readonly peakMegabytes: number;
}
